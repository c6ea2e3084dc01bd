#include "cli/npy.h"

#include <gmock/gmock.h>

#include <cstdio>
#include <cstring>
#include <fstream>

#include "pocket/dtype.h"

namespace pocket::cli {
namespace {

using ::testing::ElementsAre;

class Npy : public ::testing::Test {
 protected:
  ~Npy() override { std::remove(path_.c_str()); }
  void write(const std::string& bytes) { std::ofstream(path_, std::ios::binary) << bytes; }
  const std::string path_ = ::testing::TempDir() + "/pocket-npy-test.npy";
};

TEST_F(Npy, NumbersComeBack) {
  Array array{POCKET_FLOAT32, {2, 3}, std::vector<char>(24), {}};
  const float values[] = {1, 2, 3, 4, 5, 6};
  std::memcpy(array.data.data(), values, 24);
  ASSERT_TRUE(write_npy(path_, array).ok());
  const auto read = read_npy(path_);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->dtype, POCKET_FLOAT32);
  EXPECT_THAT(read->shape, ElementsAre(2, 3));
  EXPECT_EQ(read->data, array.data);
}

TEST_F(Npy, StringsAndScalarsComeBack) {
  Array array{POCKET_STRING, {3}, {}, {"one", "", "three"}};
  ASSERT_TRUE(write_npy(path_, array).ok());
  EXPECT_THAT(read_npy(path_)->strings, ElementsAre("one", "", "three"));
  ASSERT_TRUE(write_npy(path_, {POCKET_INT64, {}, std::vector<char>(8), {}}).ok());
  EXPECT_TRUE(read_npy(path_)->shape.empty());
}

TEST_F(Npy, TextOfNumPyBecomesUtf8) {
  // numpy.save of numpy.array(['h\u00e9'])
  std::string header = "{'descr': '<U2', 'fortran_order': False, 'shape': (1,), }";
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size());
  file += '\0';
  write(file + header + std::string("h\0\0\0\xe9\0\0\0", 8));
  const auto read = read_npy(path_);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_THAT(read->strings, ElementsAre("h\xc3\xa9"));
}

TEST_F(Npy, DamagedFilesAreRefused) {
  EXPECT_EQ(read_npy("/nowhere.npy").error().code, POCKET_NOT_FOUND);
  ASSERT_TRUE(write_npy(path_, {POCKET_INT32, {4}, std::vector<char>(16), {}}).ok());
  std::ifstream file(path_, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(file), {}};
  for (size_t length = 0; length < whole.size(); ++length) {
    write(whole.substr(0, length));
    EXPECT_FALSE(read_npy(path_).ok()) << length;
  }
  write(whole + "x");
  EXPECT_EQ(read_npy(path_).error().code, POCKET_DATA_LOSS);
}

}  // namespace
}  // namespace pocket::cli

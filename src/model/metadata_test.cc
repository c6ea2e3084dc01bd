#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "ipc/control_socket.h"
#include "model/repository.h"
#include "wire/control.h"

namespace pocket::model {
namespace {

namespace fs = std::filesystem;

using testing::HasSubstr;
using testing::UnorderedElementsAre;

class MetadataTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "pocket-metadata-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    write("cat/1/model.onnx", "x");
  }
  void TearDown() override { fs::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  Result<std::vector<std::pair<std::string, std::string>>> metadata(const std::string& manifest) {
    write("cat/model.toml", manifest);
    POCKET_ASSIGN_OR_RETURN(const ModelSource source, Repository(root_.string()).find("cat", ""));
    return read_metadata(source);
  }
  std::string refusal(const std::string& manifest, pocket_status code) {
    auto read = metadata(manifest);
    EXPECT_FALSE(read.ok()) << manifest;
    if (read.ok()) return "";
    EXPECT_EQ(read.error().code, code) << read.error().message;
    return read.error().message;
  }
  fs::path root_;
};

TEST_F(MetadataTest, HoldsWhatTheEntrySays) {
  write("cat/labels.txt", "tabby\ntiger\n");
  auto read = metadata(
      "description='d'\nlicence='l'\nlabels='labels.txt'\n[metadata]\nkind='animals'\n"
      "[image]\nlayout='NHWC'\nchannels='BGR'\nfit='letterbox'\nmean=[1, 2.5, 3]\n"
      "scale=[0.5, 1, 1]\n");
  ASSERT_TRUE(read.ok()) << read.error().message;
  using Pair = std::pair<std::string, std::string>;
  EXPECT_THAT(*read,
              UnorderedElementsAre(Pair("description", "d"), Pair("licence", "l"),
                                   Pair("labels", "tabby\ntiger\n"), Pair("kind", "animals"),
                                   Pair("image.layout", "NHWC"), Pair("image.channels", "BGR"),
                                   Pair("image.fit", "letterbox"), Pair("image.mean", "1 2.5 3"),
                                   Pair("image.scale", "0.5 1 1")));
}

TEST_F(MetadataTest, EntryThatSaysNothingIsEmpty) {
  auto read = metadata("");
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(read->empty());
}

TEST_F(MetadataTest, LabelsStayInTheModelsFolder) {
  write("secret.txt", "s");
  for (const char* labels : {"../secret.txt", "/etc/hostname", "1/model.onnx"}) {
    EXPECT_THAT(refusal("labels='" + std::string(labels) + "'\n", POCKET_INVALID_ARGUMENT),
                HasSubstr("must be a file in the model's folder"));
  }
  refusal("labels='..'\n", POCKET_NOT_FOUND);
}

TEST_F(MetadataTest, MissingAndLargeLabelsAreTold) {
  EXPECT_THAT(refusal("labels='gone.txt'\n", POCKET_NOT_FOUND), HasSubstr("gone.txt"));
  write("cat/labels.txt", std::string(160 * 1024 + 1, 'x'));
  EXPECT_THAT(refusal("labels='labels.txt'\n", POCKET_RESOURCE_EXHAUSTED),
              HasSubstr("labels.txt' is larger than"));
}

TEST_F(MetadataTest, AllOfItFitsInOneControlMessage) {
  std::string entries = "[metadata]\n";
  for (int entry = 0; entry < 1000; ++entry) entries += fmt::format("k{:04}='{:0>80}'\n", entry, 7);
  auto most = metadata(entries);
  ASSERT_TRUE(most.ok()) << most.error().message;
  wire::control::OpenedT opened;
  for (const auto& [key, value] : *most) {
    opened.metadata.push_back(std::make_unique<wire::control::OptionT>());
    opened.metadata.back()->key = key;
    opened.metadata.back()->value = value;
  }
  EXPECT_LT(wire::encode_message(1, std::move(opened)).size(), ipc::kMaxControlBytes);
  write("cat/labels.txt", std::string(100 * 1024, 'x'));
  EXPECT_THAT(refusal("labels='labels.txt'\n" + entries, POCKET_RESOURCE_EXHAUSTED),
              HasSubstr("bytes of metadata"));
}

TEST_F(MetadataTest, ImageIsChecked) {
  const auto bad = POCKET_INVALID_ARGUMENT;
  EXPECT_THAT(refusal("[image]\nlayout='NCWH'\n", bad), HasSubstr("one of NCHW, NHWC"));
  EXPECT_THAT(refusal("[image]\nfit='crop'\n", bad), HasSubstr("center-crop"));
  EXPECT_THAT(refusal("[image]\nfilter='nearest'\n", bad), HasSubstr("one of smooth, bilinear"));
  EXPECT_THAT(refusal("[image]\nmean=[1, 2]\n", bad), HasSubstr("three numbers"));
  EXPECT_THAT(refusal("[image]\nmean=[1, 2, 'x']\n", bad), HasSubstr("three numbers"));
  EXPECT_THAT(refusal("[image]\nlayuot='NCHW'\n", bad), HasSubstr("did you mean 'layout'?"));
  EXPECT_THAT(refusal("image=1\n", bad), HasSubstr("must be a table"));
  EXPECT_THAT(refusal("[metadata]\na=1\n", bad), HasSubstr("text in quotes"));
}

}  // namespace
}  // namespace pocket::model

#include "cli/audit/trail.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace pocket::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class TrailTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "pocket-trail-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path() const { return folder_ + "/audit"; }
  void append(const std::string& text) const { std::ofstream(path(), std::ios::app) << text; }
  static std::string line(int number, const std::string& tenant = "camera") {
    return json{{"time", "T"},
                {"event", "refused"},
                {"kind", "limit"},
                {"tenant", tenant},
                {"count", number}}
               .dump() +
           "\n";
  }
  static bool all(const json&) { return true; }
  static std::vector<int> counts(const Result<Trail::Records>& records) {
    std::vector<int> numbers;
    if (!records.ok()) ADD_FAILURE() << records.error().message;
    if (records.ok()) {
      for (const auto& record : *records) numbers.push_back(record["count"].get<int>());
    }
    return numbers;
  }
  std::string folder_;
};

TEST(TrailLine, IsUnderstoodInBothForms) {
  const json expected = {{"time", "T"},          {"event", "refused"},
                         {"kind", "permission"}, {"tenant", "a \"b\" c=d"},
                         {"uid", 1000},          {"count", 3}};
  EXPECT_EQ(parse_trail_line(expected.dump()), expected);
  EXPECT_EQ(
      parse_trail_line("T refused kind=permission tenant=\"a \\\"b\\\" c=d\" uid=1000 count=3"),
      expected);
  for (const char* other : {"", "x", "2026 info pocketd: ready on /x", "{\"kind\":", "[1]", "1 2 3",
                            "T refused tenant=\"unended", "{\"level\":\"info\"}"}) {
    EXPECT_EQ(parse_trail_line(other), std::nullopt) << other;
  }
}

TEST(TrailLine, ForPeopleHoldsNothingThatATerminalObeys) {
  const std::string text = trail_text({{"time", "T"},
                                       {"kind", "limit"},
                                       {"status", "BUSY"},
                                       {"tenant", "camera"},
                                       {"client", "\x1b[2J\x7f\n"},
                                       {"pid", 7},
                                       {"uid", 1},
                                       {"group", ""},
                                       {"what", "OpenModel"},
                                       {"why", "full"},
                                       {"count", 2}});
  EXPECT_NE(text.find("\\u001b[2J"), text.npos) << text;
  EXPECT_NE(text.find("(process 7, user 1, -): OpenModel: full"), text.npos) << text;
  for (const char letter : text) EXPECT_TRUE(letter >= ' ' && letter < '\x7f') << text;
}

TEST_F(TrailTest, TheNewestAreFoundFromTheEnd) {
  append("");
  auto empty = Trail::open(path());
  ASSERT_TRUE(empty.ok());
  EXPECT_TRUE(counts(empty->newest(5, all)).empty());
  // Of many blocks, with lines of another form and of another kind between them.
  for (int number = 0; number < 5000; ++number)
    append(line(number, number % 2 == 0 ? "shop" : "camera"));
  append("no line of a trail\n" + line(5000) + "{\"half");
  auto trail = Trail::open(path());
  ASSERT_TRUE(trail.ok());
  EXPECT_EQ(counts(trail->newest(3, all)), (std::vector{4998, 4999, 5000}));
  const auto shop = [](const json& record) { return record["tenant"] == "shop"; };
  EXPECT_EQ(counts(trail->newest(2, shop)), (std::vector{4996, 4998}));
  EXPECT_EQ(counts(trail->newest(100'000, all)).size(), 5001U);
  EXPECT_EQ(counts(trail->newest(100'000, all)).front(), 0);
  EXPECT_TRUE(counts(trail->newest(0, all)).empty());
}

TEST_F(TrailTest, FollowsAFileThatIsMovedAwayOrEmptied) {
  append(line(1));
  auto trail = Trail::open(path());
  ASSERT_TRUE(trail.ok());
  EXPECT_EQ(counts(trail->newest(0, all)), std::vector<int>{});
  EXPECT_EQ(counts(trail->next(all)), std::vector<int>{});
  const std::string second = line(2);
  append(second.substr(0, 5));
  EXPECT_EQ(counts(trail->next(all)), std::vector<int>{});
  append(second.substr(5));
  EXPECT_EQ(counts(trail->next(all)), std::vector{2});
  append(line(3));
  fs::rename(path(), path() + ".old");
  append(line(4));
  EXPECT_EQ(counts(trail->next(all)), (std::vector{3, 4}));
  fs::resize_file(path(), 0);
  EXPECT_EQ(counts(trail->next(all)), std::vector<int>{});
  append(line(5));
  EXPECT_EQ(counts(trail->next(all)), std::vector{5});
  fs::remove(path());
  EXPECT_EQ(counts(trail->next(all)), std::vector<int>{}) << "until it is made again";
  EXPECT_EQ(Trail::open(path()).error().code, POCKET_NOT_FOUND);
}

}  // namespace
}  // namespace pocket::cli

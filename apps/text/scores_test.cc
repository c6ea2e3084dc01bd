#include "text/scores.h"

#include <gmock/gmock.h>

#include "text/lines.h"

namespace pocket::apps {
namespace {

TEST(Poles, AreReadFromLines) {
  const auto poles = parse_poles("good: nice: very\nbad: ugly\n\ngood: fine\n");
  ASSERT_TRUE(poles.ok());
  ASSERT_EQ(poles->size(), 2U);
  EXPECT_EQ((*poles)[0].label, "good");
  EXPECT_THAT((*poles)[0].descriptions, ::testing::ElementsAre("nice: very", "fine"));
  EXPECT_FALSE(parse_poles("good: nice").ok());
  EXPECT_FALSE(parse_poles("").ok());
  EXPECT_THAT(parse_poles("a: b\nno label").error().message, ::testing::HasSubstr("'no label'"));
}

TEST(Scores, ALineIsOfThePoleItIsMostLike) {
  const std::vector<Pole> poles = {{"good", {"a", "b"}}, {"bad", {"c"}}, {"plain", {"d"}}};
  const float vectors[] = {1, 0, 0.6F, 0.8F, 0, -1, -1, 0, /* a line */ 0, 1};
  const Score good = score_embedding(poles, vectors, std::span(vectors).subspan(8));
  EXPECT_EQ(good.sentiment, "good");
  EXPECT_NEAR(good.score, 0.8 + 1, 1e-6);
  const float plain[] = {-1, 0};
  EXPECT_EQ(score_embedding(poles, vectors, plain).sentiment, "plain");
  EXPECT_EQ(score_probability(0.5F).sentiment, "positive");
  EXPECT_EQ(score_probability(0.25F).sentiment, "negative");
}

TEST(Lines, BlankOnesAreLeftOutAndKeepTheirNumber) {
  const auto lines = split_lines("one\r\n\n \t\r\ntwo \n\nlast");
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0].text, "one");
  EXPECT_EQ(lines[1].number, 4U);
  EXPECT_EQ(lines[1].text, "two ");
  EXPECT_EQ(lines[2].number, 6U);
  EXPECT_TRUE(split_lines("\n\n").empty());
}

}  // namespace
}  // namespace pocket::apps

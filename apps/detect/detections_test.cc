#include "detect/detections.h"

#include <gmock/gmock.h>

#include <cmath>

namespace pocket::apps {
namespace {

TEST(Detections, ACodeMovesAndGrowsItsAnchor) {
  const Anchor anchor{0.5, 0.25, 0.2, 0.4};
  const float none[] = {0, 0, 0, 0};
  const Box same = decode_box(none, anchor);
  EXPECT_NEAR(same.top, 0.4, 1e-9);
  EXPECT_NEAR(same.right, 0.45, 1e-9);
  // Half the anchor's height down, its width to the right, twice as high.
  const float code[] = {5, 10, 5 * std::log(2.F), 0};
  const Box moved = decode_box(code, anchor);
  EXPECT_NEAR((moved.top + moved.bottom) / 2, 0.6, 1e-6);
  EXPECT_NEAR(moved.bottom - moved.top, 0.4, 1e-6);
  EXPECT_NEAR((moved.left + moved.right) / 2, 0.65, 1e-6);
}

TEST(Detections, OverlapIsThatOfTheAreas) {
  EXPECT_DOUBLE_EQ(intersection_over_union({0, 0, 1, 1}, {0, 0, 1, 1}), 1);
  EXPECT_DOUBLE_EQ(intersection_over_union({0, 0, 1, 1}, {0, 0.5, 1, 1.5}), 1.0 / 3);
  EXPECT_DOUBLE_EQ(intersection_over_union({0, 0, 1, 1}, {0, 1, 1, 2}), 0);
  EXPECT_DOUBLE_EQ(intersection_over_union({0, 0, 0, 0}, {0, 0, 0, 0}), 0);
}

/// The example of TensorFlow's own test of its non-maximum suppression: six boxes, an overlap of
/// 0.5.
const std::vector<Box> kBoxes = {{0, 0, 1, 1},   {0, 0.1, 1, 1.1},   {0, -0.1, 1, 0.9},
                                 {0, 10, 1, 11}, {0, 10.1, 1, 11.1}, {0, 100, 1, 101}};
const std::vector<float> kScores = {0.9F, 0.75F, 0.6F, 0.95F, 0.5F, 0.3F};

std::vector<float> with_background(const std::vector<float>& scores) {
  std::vector<float> slots;
  for (const float score : scores) slots.insert(slots.end(), {0.99F, score});
  return slots;
}

std::vector<Box> shrunk(std::vector<Box> boxes) {
  for (Box& box : boxes) {
    box = {box.top / 200, box.left / 200 + 0.01, box.bottom / 200, box.right / 200 + 0.01};
  }
  return boxes;
}

TEST(Detections, SuppressionKeepsTheBestOfEachHeap) {
  Selection selection;
  selection.least_score = 0.01;
  selection.overlap = 0.5;
  const auto boxes = shrunk(kBoxes);
  const auto found = best_detections(boxes, with_background(kScores), 2, selection);
  ASSERT_EQ(found.size(), 3U);  // boxes 3, 0 and 5
  EXPECT_FLOAT_EQ(found[0].score, 0.95F);
  EXPECT_NEAR(found[0].box.left, boxes[3].left, 1e-9);
  EXPECT_FLOAT_EQ(found[1].score, 0.9F);
  EXPECT_FLOAT_EQ(found[2].score, 0.3F);
  selection.most = 2;
  EXPECT_EQ(best_detections(boxes, with_background(kScores), 2, selection).size(), 2U);
  selection.most_of_a_class = 1;
  EXPECT_EQ(best_detections(boxes, with_background(kScores), 2, selection).size(), 1U);
  selection.least_score = 0.96;
  EXPECT_TRUE(best_detections(boxes, with_background(kScores), 2, selection).empty());
}

TEST(Detections, ClassesDoNotHideEachOtherAndBoxesAreCutToThePicture) {
  const std::vector<Box> boxes = {{-0.5, -0.5, 0.5, 0.5}, {1.5, 1.5, 2, 2}};
  const std::vector<float> scores = {0, 0.8F, 0.9F, 0, 0.7F, 0};
  const auto found = best_detections(boxes, scores, 3, {});
  ASSERT_EQ(found.size(), 2U);  // what lies outside the picture is none
  EXPECT_EQ(found[0].label, 2);
  EXPECT_EQ(found[1].label, 1);
  EXPECT_EQ(found[0].box.top, 0);
  EXPECT_EQ(found[0].box.right, 0.5);
}

}  // namespace
}  // namespace pocket::apps

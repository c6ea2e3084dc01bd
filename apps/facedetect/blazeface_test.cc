#include "facedetect/blazeface.h"

#include <gmock/gmock.h>

namespace pocket::apps {
namespace {

TEST(BlazeFace, AnAnchorsOffsetsBecomeABox) {
  std::vector<float> boxes(896 * 16, 0), scores(896, -50);
  scores[0] = 3;  // the first anchor lies at 1/32, 1/32
  boxes[0] = 64;  // half the input to the right
  boxes[2] = 32;
  boxes[3] = 16;
  boxes[4] = 12.8F;
  const auto faces = decode_faces(boxes, scores, 0.5);
  ASSERT_EQ(faces.size(), 1U);
  EXPECT_NEAR(faces[0].score, 0.9526, 1e-4);
  EXPECT_NEAR(faces[0].x, 0.5 + 1 / 32.0 - 0.125, 1e-6);
  EXPECT_NEAR(faces[0].width, 0.25, 1e-6);
  EXPECT_NEAR(faces[0].keypoints[0].x, 0.1 + 1 / 32.0, 1e-6);
  EXPECT_TRUE(decode_faces(boxes, {}, 0.5).empty());
}

TEST(BlazeFace, OverlappingFacesBecomeOneAndOthersStay) {
  Face first{0.9, 0.1, 0.1, 0.2, 0.2, {}};
  Face second{0.6, 0.12, 0.1, 0.2, 0.2, {}};
  Face far{0.7, 0.6, 0.6, 0.2, 0.2, {}};
  EXPECT_NEAR(intersection_over_union(first, first), 1, 1e-9);
  EXPECT_EQ(intersection_over_union(first, far), 0);
  const auto kept = suppress_overlapping({first, far, second}, 0.3);
  ASSERT_EQ(kept.size(), 2U);
  EXPECT_NEAR(kept[0].x, (0.1 * 0.9 + 0.12 * 0.6) / 1.5, 1e-9);
  EXPECT_EQ(kept[0].score, 0.9);
  EXPECT_EQ(kept[1].x, 0.6);
}

}  // namespace
}  // namespace pocket::apps

#include "detect/anchors.h"

#include <gmock/gmock.h>

namespace pocket::apps {
namespace {

TEST(Anchors, AreAsManyAsPublished) {
  EXPECT_EQ(ssd_anchors(300).size(), 1917U);         // raw_detection_boxes of ssd_mobilenet_v2
  EXPECT_EQ(retinanet_anchors(640).size(), 51150U);  // and of resnet50_v1_fpn_640x640
  EXPECT_EQ(ssd_anchors(320).size(), 20U * 20 * 3 + (100 + 25 + 9 + 4 + 1) * 6);
}

void expect_corners(const Anchor& anchor, double top, double left, double bottom, double right) {
  EXPECT_NEAR(anchor.y - anchor.height / 2, top, 5e-4);
  EXPECT_NEAR(anchor.x - anchor.width / 2, left, 5e-4);
  EXPECT_NEAR(anchor.y + anchor.height / 2, bottom, 5e-4);
  EXPECT_NEAR(anchor.x + anchor.width / 2, right, 5e-4);
}

// The first cell of each kind of level, worked out by hand from the published rules: the SSD
// paper's equation 4 (scales) and the widths and heights below it, the RetinaNet paper's 32 to 512
// pixels.
TEST(Anchors, OfTheFirstCellHaveTheShapesOfTheRules) {
  const auto ssd = ssd_anchors(300);
  const double first = 0.5 / 19;
  expect_corners(ssd[0], first - 0.05, first - 0.05, first + 0.05, first + 0.05);
  expect_corners(ssd[1], first - 0.0707, first - 0.1414, first + 0.0707, first + 0.1414);
  expect_corners(ssd[2], first - 0.1414, first - 0.0707, first + 0.1414, first + 0.0707);
  // The second level begins after 19 * 19 * 3; its scale is 0.35, the next one's 0.5.
  expect_corners(ssd[1083], 0.05 - 0.175, 0.05 - 0.175, 0.05 + 0.175, 0.05 + 0.175);
  expect_corners(ssd[1086], 0.05 - 0.1010, 0.05 - 0.3031, 0.05 + 0.1010, 0.05 + 0.3031);
  expect_corners(ssd[1088], 0.05 - 0.2092, 0.05 - 0.2092, 0.05 + 0.2092, 0.05 + 0.2092);
  // The last anchor: the whole picture's cell, scale sqrt(0.95 * 1).
  expect_corners(ssd[1916], 0.5 - 0.4873, 0.5 - 0.4873, 0.5 + 0.4873, 0.5 + 0.4873);

  const auto retina = retinanet_anchors(640);
  EXPECT_NEAR(retina[0].y * 640, 4, 1e-9);
  EXPECT_NEAR(retina[0].height * 640, 32, 1e-9);
  EXPECT_NEAR(retina[1].height * 640, 45.2548, 1e-4);
  EXPECT_NEAR(retina[2].width * 640, 45.2548, 1e-4);  // twice as wide as high
  EXPECT_NEAR(retina[2].height * 640, 22.6274, 1e-4);
  EXPECT_NEAR(retina[6].x * 640, 12, 1e-9);       // the next cell of the row
  EXPECT_NEAR(retina[51149].y * 640, 576, 1e-9);  // the last cell of level 7
  EXPECT_NEAR(retina[51144].height * 640, 512, 1e-9);
}

}  // namespace
}  // namespace pocket::apps

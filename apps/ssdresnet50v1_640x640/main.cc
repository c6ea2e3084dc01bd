// Runs RetinaNet (ResNet50, 640 x 640) on a picture, and marks what it finds in a copy of it.
#include "detect/detect.h"

int main(int argc, char** argv) {
  return pocket::apps::run_detector(
      {"ssdresnet50v1_640x640", "Runs RetinaNet with ResNet50 on a picture",
       "ssdresnet50v1_640x640", "chelsea.png", pocket::apps::retinanet_anchors},
      argc, argv);
}

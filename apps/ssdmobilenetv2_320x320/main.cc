// Finds things in a picture with SSD MobileNetV2, and marks them in a copy of it.
#include "detect/detect.h"

int main(int argc, char** argv) {
  return pocket::apps::run_detector(
      {"ssdmobilenetv2_320x320", "Finds things in a picture with SSD MobileNetV2",
       "ssdmobilenetv2_320x320", "chelsea.png", pocket::apps::ssd_anchors},
      argc, argv);
}

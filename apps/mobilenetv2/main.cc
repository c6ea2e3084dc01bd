#include "classify/classify.h"

int main(int argc, char** argv) {
  return pocket::apps::run_classifier(
      {"mobilenetv2", "Runs MobileNetV2 on a picture", "mobilenetv2", "coffee.png"}, argc, argv);
}

#include "classify/classify.h"

int main(int argc, char** argv) {
  return pocket::apps::run_classifier(
      {"resnet50", "Runs ResNet50 on a picture", "resnet50", "coffee.png"}, argc, argv);
}

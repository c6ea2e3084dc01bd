#include "classify/classify.h"

int main(int argc, char** argv) {
  return pocket::apps::run_classifier(
      {"classify", "Names what is in a picture, with EfficientNet-Lite0", "efficientnet_lite0",
       "chelsea.png"},
      argc, argv);
}

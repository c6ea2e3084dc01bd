// The classifiers: one program each, the same but for the default model and picture.
#pragma once

namespace pocket::apps {

struct Classifier {
  const char* name;
  const char* text;
  const char* model;
  const char* picture;
};

int run_classifier(const Classifier& classifier, int argc, char** argv);

}  // namespace pocket::apps

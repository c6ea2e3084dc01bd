#include "classify/classify.h"

#include <CLI/CLI.hpp>

#include "common/app.h"
#include "common/labels.h"

namespace pocket::apps {

int run_classifier(const Classifier& classifier, int argc, char** argv) {
  int top = 5;
  AppDescription app;
  app.name = classifier.name;
  app.text = classifier.text;
  app.model = classifier.model;
  app.picture = classifier.picture;
  app.row_by_row = true;
  app.add_options = [&](CLI::App& parser) {
    parser.add_option("--top", top, "How many labels")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
  };
  app.interpret = [&](const Inference& inference, Job&) { return best_labels(inference, top); };
  app.describe = describe_labels;
  return run_app(app, argc, argv);
}

}  // namespace pocket::apps

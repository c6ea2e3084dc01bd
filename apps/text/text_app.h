// The text apps: lines of a file go to a BERT model, and each gets a score.
#pragma once

namespace pocket::apps {

/// What the model answers says its entry: `task = 'sentiment'`: each line's score, between 0 and 1;
/// `task = 'embedding'`: a vector for each line, which is judged by the entry's `poles` (scores.h).
struct TextApp {
  const char* name;
  const char* text;   // for --help
  const char* model;  // default model
};

/// main() of a text app: 0 done, 1 failed, 2 usage.
int run_text_app(const TextApp& app, int argc, char** argv);

}  // namespace pocket::apps

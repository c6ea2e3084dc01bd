// What every app does the same way: options, reading, preprocessing, timed calls, report.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "common/inference.h"
#include "picture/picture.h"

namespace CLI {
class App;
}

namespace pocket::apps {

/// One picture on its way through an app.
struct Job {
  std::string file;
  picture::Picture picture;      // empty where the app is row_by_row
  picture::Placement placement;  // where the picture lies in the input
  picture::Size input;           // of the model's input
};

struct AppDescription {
  const char* name;
  const char* text;     // for --help
  const char* model;    // default model
  const char* picture;  // default input, a file in the folder `data`
  const char* data = "pictures";
  const char* models = "models";  // default repository of the monolithic twin
  const char* input_text = "Picture (JPEG, PNG, BMP, PPM)";
  /// The picture is decoded while the input is written and not kept, which needs less memory.
  bool row_by_row = false;
  /// More options, before parsing; may be empty.
  std::function<void(CLI::App&)> add_options;
  /// Reads the input; empty: a picture, into Job.
  std::function<void(const std::string& path)> read;
  /// Writes the model's inputs; empty: the picture, as the model's entry wants it.
  std::function<void(Inference&)> prepare;
  /// The JSON "result" of one answered call. It may make further calls, and leaves the inputs of
  /// the first one behind, which is then timed.
  std::function<nlohmann::json(Inference&, Job&)> interpret;
  /// Lines for people.
  std::function<std::string(const nlohmann::json&)> describe;
};

/// The folder `name` that the build scripts fill, seen from the program; else the current folder's.
std::string data_folder(const char* name);

/// main() of an app: 0 done, 1 failed, 2 usage.
int run_app(const AppDescription& app, int argc, char** argv);

}  // namespace pocket::apps

#include "detect/detect.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <sstream>
#include <stdexcept>

#include "common/app.h"
#include "detect/detections.h"

namespace pocket::apps {
namespace {

using nlohmann::json;

constexpr picture::Color kColors[] = {{40, 220, 80},  {255, 80, 60},  {70, 150, 255},
                                      {250, 200, 40}, {220, 90, 230}, {60, 220, 220}};

struct Options {
  Selection selection;
  std::string output;
};

/// A detector's answers, told apart by their shapes.
struct Answers {
  std::span<const float> boxes, scores, numbers;
  size_t slots = 0;
};

Answers answers_of(const Inference& inference) {
  Answers answers;
  for (uint32_t index = 0; index < inference.output_count(); ++index) {
    const OutputView output = inference.output(index);
    if (output.shape.size() == 2) {
      answers.numbers = output.values;
    } else if (output.shape.size() == 3 && output.shape[2] == 4) {
      answers.boxes = output.values;
    } else if (output.shape.size() == 3) {
      answers.scores = output.values;
      answers.slots = static_cast<size_t>(output.shape[2]);
    }
  }
  return answers;
}

std::vector<Box> decode(const Answers& answers, const std::vector<Anchor>& anchors) {
  const size_t count = answers.boxes.size() / 4;
  const bool all = answers.numbers.empty();
  if (count == 0 || answers.scores.size() != count * answers.slots ||
      (all ? anchors.size() : answers.numbers.size()) != count) {
    throw std::runtime_error("the model's answers are not those of this detector");
  }
  std::vector<Box> boxes;
  boxes.reserve(count);
  for (size_t index = 0; index < count; ++index) {
    const size_t number = all ? index : static_cast<size_t>(answers.numbers[index]);
    boxes.push_back(decode_box(&answers.boxes[index * 4], anchors.at(number)));
  }
  return boxes;
}

std::vector<std::string> names_of(const Inference& inference) {
  std::vector<std::string> names;
  std::istringstream labels(inference.metadata("labels").value_or(""));
  for (std::string line; std::getline(labels, line);) names.push_back(line);
  return names;
}

/// The box in pixels of the picture: left, top, width, height.
json box_json(const Job& job, const Box& box) {
  const auto x = [&](double value) {
    return (value * job.input.width - job.placement.offset_x) / job.placement.scale_x;
  };
  const auto y = [&](double value) {
    return (value * job.input.height - job.placement.offset_y) / job.placement.scale_y;
  };
  return {x(box.left), y(box.top), x(box.right) - x(box.left), y(box.bottom) - y(box.top)};
}

void annotate(const std::string& from, const json& detections, const std::string& to) {
  auto read = picture::read_picture(from);
  if (!read.ok()) throw std::runtime_error(read.error().message);
  picture::Picture picture = std::move(read).value();
  const int thickness = std::max(2, picture.width / 300);
  for (const auto& each : detections) {
    const auto box = each["box"].get<std::vector<double>>();
    const int x = static_cast<int>(std::lround(box[0]));
    const int y = static_cast<int>(std::lround(box[1]));
    const auto color = kColors[each["class"].get<size_t>() % std::size(kColors)];
    picture::draw_rectangle(picture, x, y, static_cast<int>(std::lround(box[2])),
                            static_cast<int>(std::lround(box[3])), thickness, color);
    picture::draw_text(
        picture, x + 2 * thickness, y + 2 * thickness, thickness,
        fmt::format("{} {:.2f}", each["label"].get<std::string>(), each["score"].get<float>()),
        color);
  }
  const auto written = picture::write_png(picture, to);
  if (!written.ok()) throw std::runtime_error(written.error().message);
}

json interpret(const Detector& detector, const Options& options, const Inference& inference,
               const Job& job) {
  const Answers answers = answers_of(inference);
  const auto boxes = decode(answers, detector.anchors(job.input.width));
  const auto names = names_of(inference);
  json result = json::array();
  for (const Detection& each :
       best_detections(boxes, answers.scores, answers.slots, options.selection)) {
    const auto label = static_cast<size_t>(each.label);
    result.push_back({{"label", label < names.size() ? names[label] : std::to_string(label)},
                      {"class", label},
                      {"score", each.score},
                      {"box", box_json(job, each.box)}});
  }
  if (!options.output.empty()) annotate(job.file, result, options.output);
  return result;
}

std::string describe(const json& detections) {
  std::string text =
      fmt::format("{} thing{}\n", detections.size(), detections.size() == 1 ? "" : "s");
  for (const auto& each : detections) {
    const auto box = each["box"].get<std::vector<double>>();
    text += fmt::format("{:6.3f}  {:14} at {:.0f}, {:.0f}, {:.0f} x {:.0f} pixels\n",
                        each["score"].get<double>(), each["label"].get<std::string>(), box[0],
                        box[1], box[2], box[3]);
  }
  return text;
}

}  // namespace

int run_detector(const Detector& detector, int argc, char** argv) {
  Options options;
  AppDescription app;
  app.name = detector.name;
  app.text = detector.text;
  app.model = detector.model;
  app.models = "app-models";
  app.picture = detector.picture;
  app.row_by_row = true;
  app.add_options = [&](CLI::App& parser) {
    parser.add_option("--output", options.output, "Write the picture with the boxes drawn (PNG)");
    parser
        .add_option("--least-score", options.selection.least_score,
                    "Boxes with lower scores are left out")
        ->check(CLI::Range(1e-8, 1.0))
        ->capture_default_str();
    parser
        .add_option("--overlap", options.selection.overlap,
                    "Boxes of one class that overlap more than this are one thing")
        ->check(CLI::Range(0.0, 1.0))
        ->capture_default_str();
  };
  app.interpret = [&](const Inference& inference, Job& job) {
    return interpret(detector, options, inference, job);
  };
  app.describe = describe;
  return run_app(app, argc, argv);
}

}  // namespace pocket::apps

// Finds faces with MediaPipe's short-range model, and marks them in a copy of the picture.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <stdexcept>

#include "common/app.h"
#include "facedetect/blazeface.h"

namespace pocket::apps {
namespace {

using nlohmann::json;

constexpr double kOverlap = 0.3;
constexpr picture::Color kBox{40, 220, 80};
constexpr picture::Color kPoint{255, 60, 60};

struct Options {
  double least_score = 0.5;
  std::string output;
};

std::vector<Face> find_faces(const Inference& inference, double least_score) {
  std::span<const float> boxes, scores;
  for (uint32_t index = 0; index < inference.output_count(); ++index) {
    const OutputView output = inference.output(index);
    (output.shape.back() == 1 ? scores : boxes) = output.values;
  }
  return suppress_overlapping(decode_faces(boxes, scores, least_score), kOverlap);
}

/// From fractions of the input to pixels of the picture.
Point to_picture(const Job& job, double x, double y) {
  return {(x * job.input.width - job.placement.offset_x) / job.placement.scale_x,
          (y * job.input.height - job.placement.offset_y) / job.placement.scale_y};
}

json face_json(const Job& job, const Face& face) {
  const Point corner = to_picture(job, face.x, face.y);
  const Point end = to_picture(job, face.x + face.width, face.y + face.height);
  json points = json::array();
  for (const Point& point : face.keypoints) {
    const Point place = to_picture(job, point.x, point.y);
    points.push_back({place.x, place.y});
  }
  return {{"score", face.score},
          {"box", {corner.x, corner.y, end.x - corner.x, end.y - corner.y}},
          {"keypoints", points}};
}

void annotate(picture::Picture& picture, const json& faces) {
  const int thickness = std::max(2, picture.width / 200);
  for (const auto& face : faces) {
    const auto box = face["box"].get<std::vector<double>>();
    picture::draw_rectangle(picture, static_cast<int>(std::lround(box[0])),
                            static_cast<int>(std::lround(box[1])),
                            static_cast<int>(std::lround(box[2])),
                            static_cast<int>(std::lround(box[3])), thickness, kBox);
    for (const auto& point : face["keypoints"]) {
      picture::draw_dot(picture, static_cast<int>(std::lround(point[0].get<double>())),
                        static_cast<int>(std::lround(point[1].get<double>())), thickness, kPoint);
    }
  }
}

json interpret(const Options& options, const Inference& inference, Job& job) {
  json faces = json::array();
  for (const Face& face : find_faces(inference, options.least_score)) {
    faces.push_back(face_json(job, face));
  }
  if (!options.output.empty()) {
    annotate(job.picture, faces);
    const auto written = picture::write_png(job.picture, options.output);
    if (!written.ok()) throw std::runtime_error(written.error().message);
  }
  return faces;
}

std::string describe(const json& faces) {
  std::string text = fmt::format("{} face{}\n", faces.size(), faces.size() == 1 ? "" : "s");
  for (const auto& face : faces) {
    const auto box = face["box"].get<std::vector<double>>();
    text += fmt::format("{:6.3f}  at {:.0f}, {:.0f}, {:.0f} x {:.0f} pixels\n",
                        face["score"].get<double>(), box[0], box[1], box[2], box[3]);
  }
  return text;
}

}  // namespace
}  // namespace pocket::apps

int main(int argc, char** argv) {
  using namespace pocket::apps;
  Options options;
  AppDescription app;
  app.name = "facedetect";
  app.text = "Finds faces in a picture";
  app.model = "face_detection_short_range";
  app.picture = "astronaut.png";
  app.add_options = [&](CLI::App& parser) {
    parser.add_option("--output", options.output, "Write the picture with the faces marked (PNG)");
    parser.add_option("--least-score", options.least_score, "Faces below this are left out")
        ->check(CLI::Range(0.0, 1.0))
        ->capture_default_str();
  };
  app.interpret = [&](const Inference& inference, Job& job) {
    return interpret(options, inference, job);
  };
  app.describe = describe;
  return run_app(app, argc, argv);
}

// Pictures: decode_image, resize_image, image_input. The decoder is the picture room's.
#include <array>

#include "operations/common.h"
#include "picture/picture.h"

namespace pocket::operations {
namespace {

constexpr int64_t kMostSide = 16384;
constexpr int64_t kMostPixels = 1 << 24;
constexpr std::array<std::string_view, 3> kFits = {"center-crop", "stretch", "letterbox"};
constexpr std::array<std::string_view, 2> kFilters = {"smooth", "bilinear"};
constexpr std::array<std::string_view, 2> kLayouts = {"NHWC", "NCHW"};
constexpr std::array<std::string_view, 2> kChannels = {"RGB", "BGR"};

// ---- decode_image: the bytes of a file -> uint8 [height, width, 3]

Result<int64_t> most_pixels(const Parameters& parameters) {
  return parameters.whole("most_pixels", kMostPixels, 1, kMostPixels);
}

Result<std::vector<Spec>> infer_decode(std::span<const Spec> inputs, const Parameters& parameters) {
  POCKET_RETURN_IF_ERROR(check_dtype(inputs[0], {POCKET_UINT8}, "file"));
  if (!inputs[0].any_rank && inputs[0].shape.size() != 1) {
    return invalid(fmt::format("a file is a list of bytes, not {}", spec_text(inputs[0])));
  }
  POCKET_ASSIGN_OR_RETURN([[maybe_unused]] const int64_t most, most_pixels(parameters));
  return std::vector<Spec>{{POCKET_UINT8, false, {-1, -1, 3}}};
}

Result<std::vector<Tensor>> run_decode(std::span<const Tensor> inputs,
                                       const Parameters& parameters) {
  const Spec spec = inputs[0].spec();
  POCKET_RETURN_IF_ERROR(infer_decode({&spec, 1}, parameters));
  POCKET_ASSIGN_OR_RETURN(const int64_t most, most_pixels(parameters));
  POCKET_ASSIGN_OR_RETURN(
      const picture::Picture decoded,
      picture::decode_picture({inputs[0].values<std::byte>(), inputs[0].bytes}, most));
  const int64_t shape[] = {decoded.height, decoded.width, 3};
  POCKET_ASSIGN_OR_RETURN(Tensor result, tensor::make_tensor(POCKET_UINT8, shape));
  std::copy(decoded.rgb.begin(), decoded.rgb.end(), result.values<uint8_t>());
  return one(std::move(result));
}

// ---- resize_image and image_input: uint8 [height, width, 3] into another size

Result<void> check_picture(const Spec& spec) {
  POCKET_RETURN_IF_ERROR(check_dtype(spec, {POCKET_UINT8}, "picture"));
  const bool fits =
      spec.any_rank || (spec.shape.size() == 3 && (spec.shape[2] == 3 || spec.shape[2] < 0));
  return fits ? ok_result()
              : Result<void>(invalid(
                    fmt::format("a picture is uint8 [height, width, 3], not {}", spec_text(spec))));
}

struct Plan {
  picture::Size size;
  picture::ImageSpec spec;
};

Result<void> read_triple(const Parameters& parameters, const char* name, double fallback,
                         float* values) {
  POCKET_ASSIGN_OR_RETURN(const auto triple, parameters.numbers(name, std::vector(3, fallback)));
  if (triple.size() != 3) return invalid(fmt::format("parameter '{}' must be three numbers", name));
  std::transform(triple.begin(), triple.end(), values,
                 [](double x) { return static_cast<float>(x); });
  return ok_result();
}

Result<Plan> read_plan(const Parameters& parameters) {
  Plan plan;
  POCKET_ASSIGN_OR_RETURN(const int64_t height,
                          parameters.whole("height", std::nullopt, 1, kMostSide));
  POCKET_ASSIGN_OR_RETURN(const int64_t width,
                          parameters.whole("width", std::nullopt, 1, kMostSide));
  if (height * width > kMostPixels)
    return invalid(fmt::format("more than {} pixels are wanted", kMostPixels));
  plan.size = {static_cast<int>(width), static_cast<int>(height)};
  POCKET_ASSIGN_OR_RETURN(const std::string fit, parameters.word("fit", kFits));
  plan.spec.fit = fit == "stretch"     ? picture::Fit::kStretch
                  : fit == "letterbox" ? picture::Fit::kLetterbox
                                       : picture::Fit::kCenterCrop;
  POCKET_ASSIGN_OR_RETURN(const std::string filter, parameters.word("filter", kFilters));
  plan.spec.filter = filter == "bilinear" ? picture::Filter::kBilinear : picture::Filter::kSmooth;
  POCKET_ASSIGN_OR_RETURN(const std::string layout, parameters.word("layout", kLayouts));
  plan.spec.channels_first = layout == "NCHW";
  POCKET_ASSIGN_OR_RETURN(const std::string channels, parameters.word("channels", kChannels));
  plan.spec.blue_first = channels == "BGR";
  POCKET_RETURN_IF_ERROR(read_triple(parameters, "mean", 0, plan.spec.mean));
  POCKET_RETURN_IF_ERROR(read_triple(parameters, "scale", 1, plan.spec.scale));
  return plan;
}

Result<picture::Picture> as_picture(const Tensor& tensor) {
  POCKET_RETURN_IF_ERROR(check_picture(tensor.spec()));
  if (tensor.shape[0] < 1 || tensor.shape[1] < 1 || tensor.shape[0] > 1 << 20 ||
      tensor.shape[1] > 1 << 20) {
    return invalid(fmt::format("there is no picture {}", spec_text(tensor.spec())));
  }
  picture::Picture made{static_cast<int>(tensor.shape[1]), static_cast<int>(tensor.shape[0]), {}};
  made.rgb.assign(tensor.values<uint8_t>(), tensor.values<uint8_t>() + tensor.bytes);
  return made;
}

Result<std::vector<Spec>> infer_resize(std::span<const Spec> inputs, const Parameters& parameters) {
  POCKET_RETURN_IF_ERROR(check_picture(inputs[0]));
  POCKET_ASSIGN_OR_RETURN(const Plan plan, read_plan(parameters));
  return std::vector<Spec>{{POCKET_UINT8, false, {plan.size.height, plan.size.width, 3}}};
}

Result<std::vector<Tensor>> run_resize(std::span<const Tensor> inputs,
                                       const Parameters& parameters) {
  POCKET_ASSIGN_OR_RETURN(const Plan plan, read_plan(parameters));
  POCKET_ASSIGN_OR_RETURN(const picture::Picture source, as_picture(inputs[0]));
  const int64_t shape[] = {plan.size.height, plan.size.width, 3};
  POCKET_ASSIGN_OR_RETURN(Tensor result, tensor::make_tensor(POCKET_UINT8, shape));
  picture::fill(source, plan.spec, plan.size, result.values<uint8_t>());
  return one(std::move(result));
}

std::vector<int64_t> input_shape(const Plan& plan) {
  if (plan.spec.channels_first) return {1, 3, plan.size.height, plan.size.width};
  return {1, plan.size.height, plan.size.width, 3};
}

Result<std::vector<Spec>> infer_input(std::span<const Spec> inputs, const Parameters& parameters) {
  POCKET_RETURN_IF_ERROR(check_picture(inputs[0]));
  POCKET_ASSIGN_OR_RETURN(const Plan plan, read_plan(parameters));
  return std::vector<Spec>{{POCKET_FLOAT32, false, input_shape(plan)}};
}

Result<std::vector<Tensor>> run_input(std::span<const Tensor> inputs,
                                      const Parameters& parameters) {
  POCKET_ASSIGN_OR_RETURN(const Plan plan, read_plan(parameters));
  POCKET_ASSIGN_OR_RETURN(const picture::Picture source, as_picture(inputs[0]));
  POCKET_ASSIGN_OR_RETURN(Tensor result, tensor::make_tensor(POCKET_FLOAT32, input_shape(plan)));
  picture::fill(source, plan.spec, plan.size, result.values<float>());
  return one(std::move(result));
}

}  // namespace

std::vector<Operation> picture_operations() {
  return {
      {"decode_image", 1, 1, {"most_pixels"}, infer_decode, run_decode},
      {"image_input",
       1,
       1,
       {"height", "width", "fit", "filter", "layout", "channels", "mean", "scale"},
       infer_input,
       run_input},
      {"resize_image", 1, 1, {"height", "width", "fit", "filter"}, infer_resize, run_resize},
  };
}

}  // namespace pocket::operations

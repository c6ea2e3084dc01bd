// Pictures that are in memory already.
#include <fmt/format.h>
#include <stb/stb_image.h>

#include <climits>
#include <memory>

#include "picture/picture.h"

namespace pocket::picture {

Result<Picture> decode_picture(std::span<const std::byte> file, int64_t most_pixels) {
  if (file.size() > INT_MAX) {
    return Error{POCKET_RESOURCE_EXHAUSTED,
                 fmt::format("a picture's file of {} bytes", file.size())};
  }
  const auto* bytes = reinterpret_cast<const stbi_uc*>(file.data());
  const int size = static_cast<int>(file.size());
  int width = 0, height = 0, channels = 0;
  if (stbi_info_from_memory(bytes, size, &width, &height, &channels) != 1) {
    return Error{POCKET_DATA_LOSS, fmt::format("the bytes are not a picture that can be read: {}",
                                               stbi_failure_reason())};
  }
  if (width < 1 || height < 1 || static_cast<int64_t>(width) * height > most_pixels) {
    return Error{
        POCKET_RESOURCE_EXHAUSTED,
        fmt::format("the picture has {} x {} pixels; the most is {}", width, height, most_pixels)};
  }
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(bytes, size, &width, &height, &channels, 3), stbi_image_free);
  if (pixels == nullptr) {
    return Error{POCKET_DATA_LOSS, fmt::format("the bytes are not a picture that can be read: {}",
                                               stbi_failure_reason())};
  }
  if (static_cast<int64_t>(width) * height > most_pixels) {
    return Error{POCKET_DATA_LOSS, "the picture is larger than its head says"};
  }
  Picture picture{width, height, {}};
  picture.rgb.assign(pixels.get(), pixels.get() + static_cast<size_t>(width) * height * 3);
  return picture;
}

}  // namespace pocket::picture

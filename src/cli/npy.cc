#include "cli/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>

#include "base/checked.h"
#include "pocket/dtype.h"

namespace pocket::cli {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr uint64_t kMostBytes = uint64_t{1} << 34;

struct Code {
  int32_t dtype;
  const char* code;
};
constexpr Code kCodes[] = {
    {POCKET_FLOAT16, "f2"},   {POCKET_FLOAT32, "f4"},     {POCKET_FLOAT64, "f8"},
    {POCKET_INT8, "i1"},      {POCKET_INT16, "i2"},       {POCKET_INT32, "i4"},
    {POCKET_INT64, "i8"},     {POCKET_UINT8, "u1"},       {POCKET_UINT16, "u2"},
    {POCKET_UINT32, "u4"},    {POCKET_UINT64, "u8"},      {POCKET_BOOL, "b1"},
    {POCKET_COMPLEX64, "c8"}, {POCKET_COMPLEX128, "c16"}, {POCKET_BFLOAT16, "V2"}};

Error damaged(const std::string& path, const char* what) {
  return Error{POCKET_DATA_LOSS, fmt::format("'{}' is not a whole .npy file: {}", path, what)};
}

/// The text after 'key': in the header, up to where its value may end.
std::optional<std::string_view> value_of(std::string_view header, std::string_view key) {
  const size_t at = header.find(fmt::format("'{}'", key));
  if (at == std::string_view::npos) return std::nullopt;
  const size_t colon = header.find(':', at);
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view rest = header.substr(colon + 1);
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  return rest;
}

std::optional<std::vector<int64_t>> parse_shape(std::string_view text) {
  if (text.empty() || text[0] != '(') return std::nullopt;
  const size_t end = text.find(')');
  if (end == std::string_view::npos) return std::nullopt;
  std::vector<int64_t> shape;
  const char* position = text.data() + 1;
  const char* last = text.data() + end;
  while (position != last) {
    if (*position == ' ' || *position == ',') {
      ++position;
      continue;
    }
    int64_t size = 0;
    const auto [next, status] = std::from_chars(position, last, size);
    if (status != std::errc() || size < 0) return std::nullopt;
    shape.push_back(size);
    position = next;
  }
  return shape;
}

void append_utf8(uint32_t code, std::string& text) {
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xC0 | code >> 6);
    text += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    text += static_cast<char>(0xE0 | code >> 12);
    text += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    text += static_cast<char>(0xF0 | (code >> 18 & 0x07));
    text += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    text += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (code & 0x3F));
  }
}

/// Fixed-width elements, padded with zeros.
void unpack_strings(const std::vector<char>& data, size_t width, bool wide, size_t count,
                    std::vector<std::string>& strings) {
  for (size_t element = 0; element < count; ++element) {
    const char* from = data.data() + element * width;
    std::string text;
    if (wide) {
      for (size_t at = 0; at + 4 <= width; at += 4) {
        uint32_t code = 0;
        std::memcpy(&code, from + at, 4);
        if (code == 0) break;
        append_utf8(code, text);
      }
    } else {
      text.assign(from, width);
      text.resize(text.find_last_not_of('\0') + 1);
    }
    strings.push_back(std::move(text));
  }
}

struct Header {
  std::string type;  // without the byte order
  std::vector<int64_t> shape;
};

Result<Header> parse_header(const std::string& path, std::string_view text) {
  const auto type = value_of(text, "descr");
  const auto order = value_of(text, "fortran_order");
  const auto shape_text = value_of(text, "shape");
  const auto shape = shape_text ? parse_shape(*shape_text) : std::nullopt;
  if (!type || !order || !shape || type->size() < 4 || shape->size() > POCKET_MAX_RANK) {
    return damaged(path, "its header cannot be read");
  }
  const size_t end = type->find('\'', 1);
  if ((*type)[0] != '\'' || end == std::string_view::npos) {
    return Error{POCKET_UNIMPLEMENTED,
                 fmt::format("'{}' holds records: one plain type is needed", path)};
  }
  const std::string_view name = type->substr(1, end - 1);
  if (name[0] == '>' || name.find('O') != std::string_view::npos || order->starts_with("True")) {
    return Error{POCKET_UNIMPLEMENTED,
                 fmt::format("'{}' has type {} in {} order: save it as a little-endian array in C "
                             "order (numpy.ascontiguousarray)",
                             path, name, order->starts_with("True") ? "Fortran" : "C")};
  }
  return Header{std::string(name.substr(name[0] == '<' || name[0] == '|' || name[0] == '=')),
                *shape};
}

}  // namespace

Result<Array> read_npy(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return errno_error(fmt::format("'{}'", path), errno == 0 ? ENOENT : errno);
  char start[12] = {};
  file.read(start, 10);
  if (!file || std::string_view(start, 6) != kMagic) return damaged(path, "it starts otherwise");
  uint32_t header_bytes =
      static_cast<uint8_t>(start[8]) | static_cast<uint32_t>(static_cast<uint8_t>(start[9])) << 8;
  if (start[6] >= 2) {
    file.read(start + 10, 2);
    header_bytes |= static_cast<uint32_t>(static_cast<uint8_t>(start[10])) << 16 |
                    static_cast<uint32_t>(static_cast<uint8_t>(start[11])) << 24;
  }
  if (header_bytes > 1'000'000) return damaged(path, "its header is too long");
  std::string text(header_bytes, '\0');
  file.read(text.data(), header_bytes);
  if (!file) return damaged(path, "its header is cut off");
  POCKET_ASSIGN_OR_RETURN(const Header header, parse_header(path, text));

  Array array;
  array.shape = header.shape;
  const auto count = element_count(array.shape);
  size_t width = 0;
  for (const auto& [dtype, code] : kCodes) {
    if (header.type == code) array.dtype = dtype;
  }
  const bool wide = header.type[0] == 'U';
  if (array.dtype != 0) {
    width = pocket_dtype_size(array.dtype);
  } else if (wide || header.type[0] == 'S') {
    array.dtype = POCKET_STRING;
    const char* end = header.type.data() + header.type.size();
    const auto read = std::from_chars(header.type.data() + 1, end, width);
    // Without a width any number of them would fit a file of any size.
    if (read.ptr != end || width == 0) return damaged(path, "its strings have no width");
    width *= wide ? 4 : 1;
  } else {
    return Error{POCKET_UNIMPLEMENTED,
                 fmt::format("'{}' holds elements of type '{}'", path, header.type)};
  }
  const auto bytes = count ? checked_multiply(*count, width) : std::nullopt;
  if (!bytes || *bytes > kMostBytes) return damaged(path, "its shape is too large");
  const auto here = file.tellg();
  file.seekg(0, std::ios::end);
  if (static_cast<uint64_t>(file.tellg() - here) != *bytes) {
    return damaged(path, "its size does not fit its header");
  }
  file.seekg(here);
  array.data.resize(*bytes);
  file.read(array.data.data(), static_cast<std::streamsize>(*bytes));
  if (!file) return damaged(path, "it is cut off");
  if (array.dtype == POCKET_STRING) {
    unpack_strings(array.data, width, wide, *count, array.strings);
    array.data.clear();
  }
  return array;
}

Result<void> write_npy(const std::string& path, const Array& array) {
  std::string type;
  std::vector<char> packed;
  for (const auto& [dtype, code] : kCodes) {
    if (dtype != array.dtype) continue;
    type = fmt::format("{}{}", pocket_dtype_size(dtype) == 1 || code[0] == 'V' ? "|" : "<", code);
  }
  if (array.dtype == POCKET_STRING) {
    size_t width = 1;
    for (const auto& string : array.strings) width = std::max(width, string.size());
    packed.resize(width * array.strings.size(), '\0');
    for (size_t element = 0; element < array.strings.size(); ++element) {
      std::copy(array.strings[element].begin(), array.strings[element].end(),
                packed.begin() + static_cast<std::ptrdiff_t>(element * width));
    }
    type = fmt::format("|S{}", width);
  }
  std::string shape;
  for (const int64_t size : array.shape) shape += fmt::format("{},", size);
  std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", type, shape);
  header.append(63 - (10 + header.size()) % 64, ' ');  // the data starts at a multiple of 64
  header += '\n';
  std::ofstream file(path, std::ios::binary);
  const auto length = static_cast<uint16_t>(header.size());
  const char start[4] = {1, 0, static_cast<char>(length & 0xFF), static_cast<char>(length >> 8)};
  const auto& data = array.dtype == POCKET_STRING ? packed : array.data;
  file.write(kMagic.data(), static_cast<std::streamsize>(kMagic.size()));
  file.write(start, sizeof(start));
  file << header;
  file.write(data.data(), static_cast<std::streamsize>(data.size()));
  file.flush();
  if (!file) return errno_error(fmt::format("writing '{}'", path), errno == 0 ? EIO : errno);
  return ok_result();
}

}  // namespace pocket::cli

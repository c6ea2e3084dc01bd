#include "damage.h"

#include <fmt/format.h>

#include <random>

namespace pocket::equality {

std::vector<Damage> damages_of(const std::string& bytes, bool is_model) {
  const size_t size = bytes.size();
  std::vector<Damage> damages;
  damages.push_back({"cut-0", true, false, ""});
  damages.push_back({"cut-1", true, false, bytes.substr(0, 1)});
  damages.push_back({"cut-64", true, false, bytes.substr(0, std::min<size_t>(64, size / 2))});
  damages.push_back({"cut-quarter", true, false, bytes.substr(0, size / 4)});
  damages.push_back({"cut-half", true, false, bytes.substr(0, size / 2)});
  damages.push_back({"cut-last", false, false, bytes.substr(0, size - 1)});
  if (!is_model) damages.push_back({"missing", true, true, ""});
  damages.push_back({"zeros", is_model, false, std::string(size, '\0')});
  std::mt19937 random(static_cast<uint32_t>(size));
  for (int round = 0; round < 6; ++round) {
    // One byte among the first, where the structure is, up to 32 anywhere.
    std::string changed = bytes;
    const size_t range = round % 2 == 0 ? std::min<size_t>(size, 256) : size;
    for (int count = 0; count < (1 << round); ++count) {
      char& byte = changed[random() % range];
      byte = static_cast<char>(byte ^ static_cast<char>(1 + random() % 255));
    }
    damages.push_back({fmt::format("flip-{}", round), false, false, std::move(changed)});
  }
  return damages;
}

}  // namespace pocket::equality

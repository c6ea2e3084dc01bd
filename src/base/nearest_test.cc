#include "base/nearest.h"

#include <gtest/gtest.h>

#include <array>

namespace pocket {
namespace {

constexpr std::array<std::string_view, 3> kKnown = {"socket", "socket_mode", "models"};

TEST(Nearest, FindsTheWordThatWasMeant) {
  EXPECT_EQ(nearest_word("soket", kKnown), "socket");
  EXPECT_EQ(nearest_word("socketmode", kKnown), "socket_mode");
  EXPECT_EQ(nearest_word("modles", kKnown), "models");
  EXPECT_EQ(nearest_word("model", kKnown), "models");
  EXPECT_EQ(nearest_word("socket", kKnown), "socket");
}

TEST(Nearest, SaysNothingWhenNothingIsClose) {
  EXPECT_EQ(nearest_word("zzzzzzzzzz", kKnown), "");
  EXPECT_EQ(nearest_word("anything", {}), "");
}

}  // namespace
}  // namespace pocket

// The tokenizer with BERT's own vocabulary against the ids of the Python package `tokenizers`,
// which tools/make-app-models wrote down.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "text/lines.h"
#include "text/text_file.h"
#include "text/tokenizer.h"

namespace pocket::apps {
namespace {

using nlohmann::json;

std::string data(const std::string& name) { return std::string(DATA_PATH) + "/" + name; }

json expected() {
  std::ifstream file(data("bert-expected.json"));
  if (!file) {
    std::printf("skipped: no '%s' (tools/make-app-models)\n", data("bert-expected.json").c_str());
    std::exit(77);
  }
  return json::parse(file);
}

TEST(Reference, EveryLineOfTheTextsHasItsIds) {
  const json models = expected();
  auto vocabulary = Vocabulary::read(data("bert-uncased.txt"));
  ASSERT_TRUE(vocabulary.ok()) << vocabulary.error().message;
  const Tokenizer tokenizer(std::move(*vocabulary));
  size_t compared = 0;
  for (const auto& [model, texts] : models.items()) {
    const size_t most = model == "all_minilm_l6_v2" ? 256 : 128;
    for (const auto& [text, rows] : texts.items()) {
      const auto file = read_text(data("texts/" + text), size_t{1} << 20);
      ASSERT_TRUE(file.ok()) << file.error().message;
      const auto lines = split_lines(*file);
      ASSERT_EQ(lines.size(), rows.size()) << text;
      for (size_t index = 0; index < lines.size(); ++index) {
        EXPECT_EQ(lines[index].number, rows[index]["line"].get<size_t>());
        EXPECT_EQ(tokenizer.encode(lines[index].text, most).ids,
                  rows[index]["ids"].get<std::vector<int32_t>>())
            << text << ", line " << lines[index].number;
        ++compared;
      }
    }
  }
  EXPECT_GE(compared, 40U);
}

}  // namespace
}  // namespace pocket::apps

#include "text/text_app.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <optional>
#include <stdexcept>

#include "common/app.h"
#include "text/lines.h"
#include "text/scores.h"
#include "text/text_file.h"

namespace pocket::apps {
namespace {

using nlohmann::json;

constexpr size_t kMostBytes = size_t{16} << 20;  // of the text
constexpr size_t kShown = 60;                    // bytes of a line shown to people

template <typename T>
T checked(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.error().message);
  return std::move(result).value();
}

struct Options {
  std::string vocabulary;
  size_t batch = 32;
  size_t tokens = 0;  // of a line; 0: as many as the model's entry says
};

std::optional<size_t> number_of(const Inference& inference, const std::string& key) {
  const auto text = inference.metadata(key);
  size_t number = 0;
  if (!text) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size()) {
    throw std::runtime_error("the model's entry: " + key + " = '" + *text + "' is no number");
  }
  return number;
}

class TextJob {
 public:
  explicit TextJob(const Options& options) : options_(options) {}

  void read(const std::string& path) {
    lines_ = split_lines(checked(read_text(path, kMostBytes)));
    if (lines_.empty()) throw std::runtime_error("'" + path + "' has no line that is not blank");
  }

  void prepare(Inference& inference) {
    const Tokenizer tokenizer(checked(Vocabulary::read(options_.vocabulary)));
    const auto words = number_of(inference, "vocabulary");
    if (words && *words != tokenizer.vocabulary_size()) {
      throw std::runtime_error(fmt::format("the model wants a vocabulary of {} pieces, '{}' has {}",
                                           *words, options_.vocabulary,
                                           tokenizer.vocabulary_size()));
    }
    padding_ = tokenizer.padding();
    const size_t most = number_of(inference, "max_tokens").value_or(512);
    const size_t limit = options_.tokens == 0 ? most : std::min(options_.tokens, most);
    const std::string task = inference.metadata("task").value_or("sentiment");
    if (task == "embedding") {
      poles_ = checked(parse_poles(inference.metadata("poles").value_or("")));
      for (const Pole& pole : poles_) {
        for (const auto& text : pole.descriptions) rows_.push_back(tokenizer.encode(text, limit));
      }
    } else if (task != "sentiment") {
      throw std::runtime_error("the model's task is '" + task + "', not sentiment or embedding");
    }
    descriptions_ = rows_.size();
    for (const Line& line : lines_) rows_.push_back(tokenizer.encode(line.text, limit));
    write_batch(inference, 0);
  }

  /// The first batch was answered; the others follow.
  json answer(Inference& inference) {
    std::vector<float> numbers;
    for (size_t batch = 0;;) {
      const OutputView output = inference.output(0);
      numbers.insert(numbers.end(), output.values.begin(), output.values.end());
      batch += batch_rows(batch).size();
      if (batch == rows_.size()) break;
      write_batch(inference, batch);
      inference.run();
    }
    if (rows_.size() > batch_rows(0).size()) write_batch(inference, 0);
    return result(numbers);
  }

 private:
  /// The descriptions and the first lines are one batch.
  std::span<const Tokens> batch_rows(size_t from) const {
    const size_t most = from == 0 ? descriptions_ + options_.batch : options_.batch;
    return std::span(rows_).subspan(from, std::min(most, rows_.size() - from));
  }
  void write_batch(Inference& inference, size_t from) const {
    write_tokens(inference, batch_rows(from), padding_);
  }

  json result(std::span<const float> numbers) const {
    const size_t width = numbers.size() / rows_.size();
    if (width == 0 || numbers.size() != width * rows_.size() ||
        (descriptions_ == 0 && width != 1)) {
      throw std::runtime_error("the model's answer has not one row for each line");
    }
    json list = json::array();
    for (size_t index = 0; index < lines_.size(); ++index) {
      const size_t row = descriptions_ + index;
      const auto line = numbers.subspan(row * width, width);
      const Score score =
          descriptions_ == 0 ? score_probability(line[0]) : score_embedding(poles_, numbers, line);
      json entry = {{"line", lines_[index].number},
                    {"text", lines_[index].text},
                    {"score", score.score},
                    {"sentiment", score.sentiment},
                    {"tokens", rows_[row].ids.size()},
                    {"truncated", rows_[row].truncated}};
      for (size_t pole = 0; pole < score.likeness.size(); ++pole) {
        entry["likeness"][poles_[pole].label] = score.likeness[pole];
      }
      list.push_back(std::move(entry));
    }
    return list;
  }

  const Options& options_;
  std::vector<Line> lines_;
  std::vector<Pole> poles_;   // none for a classifier
  std::vector<Tokens> rows_;  // of the poles' descriptions, then of the lines
  size_t descriptions_ = 0;
  int32_t padding_ = 0;
};

/// The beginning of a line, cut between two characters.
std::string beginning(const std::string& text) {
  if (text.size() <= kShown) return text;
  size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return text.substr(0, end) + "...";
}

std::string describe(const json& lines) {
  std::string text;
  for (const auto& line : lines) {
    text += fmt::format("{:4}  {:6.3f}  {:9} {}{}\n", line["line"].get<size_t>(),
                        line["score"].get<double>(), line["sentiment"].get<std::string>(),
                        beginning(line["text"].get<std::string>()),
                        line["truncated"].get<bool>() ? " (its end was cut off)" : "");
  }
  return text;
}

}  // namespace

int run_text_app(const TextApp& app, int argc, char** argv) {
  Options options;
  options.vocabulary = data_folder("app-data") + "/bert-uncased.txt";
  TextJob job(options);
  AppDescription description;
  description.name = app.name;
  description.text = app.text;
  description.model = app.model;
  description.models = "app-models";
  description.data = "app-data";
  description.picture = "opinions.txt";
  description.input_text = "Text, judged line by line (UTF-8)";
  description.add_options = [&](CLI::App& parser) {
    parser.add_option("--vocabulary", options.vocabulary, "Word pieces of the model, one a line")
        ->capture_default_str();
    parser.add_option("--batch", options.batch, "Lines in one call; the first call is timed")
        ->check(CLI::Range(1, 4096))
        ->capture_default_str();
    parser.add_option("--tokens", options.tokens, "Most tokens of a line (default: the model's)")
        ->check(CLI::Range(3, 65536));
  };
  description.read = [&](const std::string& path) { job.read(path); };
  description.prepare = [&](Inference& inference) { job.prepare(inference); };
  description.interpret = [&](Inference& inference, Job&) { return job.answer(inference); };
  description.describe = describe;
  return run_app(description, argc, argv);
}

}  // namespace pocket::apps

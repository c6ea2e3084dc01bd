// Pocket's answer is the in-process answer, bit for bit: every test model with every engine.
// POCKET_EQUALITY_ONLY=PREFIX picks models by name.
#include "answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <thread>

#include "cases.h"
#include "expected.h"
#include "fixture.h"

namespace pocket::equality {
namespace {

using Outcomes = std::map<std::pair<std::string, std::string>, Outcome>;  // (engine, model)

std::string verdict_of(const Outcomes& outcomes, const std::string& engine,
                       const std::string& model) {
  const auto found = outcomes.find({engine, model});
  return found == outcomes.end() ? "-" : verdict_name(found->second.verdict);
}

void print_table(const std::vector<std::string>& engines, const std::vector<Case>& cases,
                 const Outcomes& outcomes) {
  std::map<std::string, std::map<std::string, int>> counts;
  fmt::print("\n{:<60}", "model");
  for (const auto& engine : engines) fmt::print(" {:<12}", engine);
  for (const auto& each : cases) {
    std::string row;
    for (const auto& engine : engines) {
      const std::string verdict = verdict_of(outcomes, engine, each.name);
      row += fmt::format(" {:<12}", verdict);
      if (verdict != "-") counts[engine][verdict] += 1;
    }
    if (row.find_first_not_of(" -") != std::string::npos) fmt::print("\n{:<60}{}", each.name, row);
  }
  fmt::print("\n");
  for (const auto& [engine, verdicts] : counts) {
    fmt::print("{}:", engine);
    for (const auto& [verdict, count] : verdicts) fmt::print(" {} {}", count, verdict);
    fmt::print("\n");
  }
}

/// What docs/engines.md says of an element type, from what the models of that type came to.
/// TensorFlow's columns are the last ones.
std::string dtype_row(const Outcomes& outcomes, const std::string& dtype, bool with_tensorflow) {
  const auto carried = [&](const std::string& engine, const std::string& model) {
    const std::string verdict = verdict_of(outcomes, engine, model + dtype);
    if (verdict == "equal") return "yes";
    return verdict == "deviates" ? "yes, other values" : "no";
  };
  std::string row = fmt::format("| `{}` | {} |", dtype, carried("null", "echo_"));
  for (const char* engine : {"openvino", "onnxruntime"}) {
    row += fmt::format(" {} | {} |", carried(engine, "identity_"), carried(engine, "arithmetic_"));
  }
  if (with_tensorflow) {
    row += fmt::format(" {} | {} |", carried("tensorflow", "tf_identity_"),
                       carried("tensorflow", "tf_arithmetic_"));
  }
  return row;
}

void expect_documented_dtypes(const Outcomes& outcomes, bool with_tensorflow) {
  std::ifstream file(POCKET_DOCS_FILE);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  fmt::print("\n");
  for (int32_t dtype = POCKET_FLOAT32; dtype <= POCKET_BFLOAT16; ++dtype) {
    const std::string row = dtype_row(outcomes, pocket_dtype_name(dtype), with_tensorflow);
    fmt::print("{}\n", row);
    EXPECT_NE(text.find("\n" + row), std::string::npos)
        << "docs/engines.md does not have this row: " << row;
  }
}

TEST_F(EqualityTest, EveryModelWithEveryEngine) {
  const Expected expected = read_expected(POCKET_EXPECTED_FILE);
  const char* only = std::getenv("POCKET_EQUALITY_ONLY");
  Outcomes outcomes;
  const auto engines = model_engines(POCKET_ENGINE_DIR);
  for (const auto& engine : engines) {
    auto plugin = engine::Plugin::load(POCKET_ENGINE_DIR, engine);
    ASSERT_TRUE(plugin.ok()) << plugin.error().message;
    for (const auto& each : cases_) {
      if (!is_for(each, engine)) continue;
      if (only != nullptr && !each.name.starts_with(only)) continue;
      const Answers in_process = answers_in_process(*plugin, service_.models(), each);
      const Outcome outcome =
          judge(each, in_process, answers_through_pocket(session_, engine, each));
      outcomes[{engine, each.name}] = outcome;
      const auto known = expected.find({engine, each.name});
      EXPECT_TRUE(is_expected(outcome.verdict, known == expected.end() ? "" : known->second))
          << engine << " " << each.name << " " << verdict_name(outcome.verdict) << ": "
          << outcome.reason;
    }
  }
  print_table(engines, cases_, outcomes);
  if (only != nullptr) return;
  const auto built = [&](const std::string& engine) {
    return std::find(engines.begin(), engines.end(), engine) != engines.end();
  };
  const bool tensorflow_cases = std::any_of(cases_.begin(), cases_.end(), is_tensorflow_case);
  if (built("tensorflow") && !tensorflow_cases) {
    fmt::print("TensorFlow was given published models only: run tools/make-test-models\n");
  }
  if (built("openvino") && built("onnxruntime")) {
    expect_documented_dtypes(outcomes, built("tensorflow") && tensorflow_cases);
  }
  for (const auto& [pair, verdict] : expected) {
    const bool there = built(pair.first) && (tensorflow_cases || !pair.second.starts_with("tf_"));
    EXPECT_TRUE(!there || outcomes.contains(pair))
        << "expected.txt names a model that is not there: " << pair.first << " " << pair.second;
  }
}

/// The same models, two calls of which may run at once and share two threads.
class ParallelTest : public EqualityTest {
 protected:
  void add_models() override {
    for (const char* name : kNames) {
      Case copy = find(name);
      copy.name += "-parallel";
      namespace fs = std::filesystem;
      const fs::path target = fs::path(service_.models()) / copy.name;
      fs::create_directories(target);
      fs::create_directory_symlink(fs::absolute(copy.folder + "/1"), target / "1");
      testing::write_file((target / "model.toml").string(),
                          "threads = 2\nconcurrency = 2\ngroup = 'parallel'\n");
      copies_.push_back(std::move(copy));
    }
  }
  static constexpr const char* kNames[] = {"basic_pitch_onnx", "basic_pitch_savedmodel",
                                           "silero_vad_op18_ifless", "dynamic_convolution",
                                           "onnx_squeezenet"};
  std::vector<Case> copies_;
};

TEST_F(ParallelTest, CallsThatRunAtOnceGetTheSameAnswers) {
  for (const auto& engine : model_engines(POCKET_ENGINE_DIR)) {
    if (engine == "null") continue;
    auto plugin = engine::Plugin::load(POCKET_ENGINE_DIR, engine);
    ASSERT_TRUE(plugin.ok()) << plugin.error().message;
    for (const auto& each : copies_) {
      if (!is_for(each, engine) || (engine == "onnxruntime" && is_for(each, "tensorflow")))
        continue;
      const Answers in_process = answers_in_process(*plugin, service_.models(), each);
      ASSERT_EQ(in_process.load.status, POCKET_OK) << in_process.load.message;
      std::vector<std::string> differences(3);
      std::vector<std::thread> clients;
      for (auto& found : differences) {
        clients.emplace_back([&] {
          for (int turn = 0; turn < 2 && found.empty(); ++turn) {
            found = difference(in_process, answers_through_pocket(session_, engine, each));
          }
        });
      }
      for (auto& client : clients) client.join();
      fmt::print("{} {}\n", engine, each.name);
      std::fflush(stdout);
      for (const auto& found : differences) EXPECT_EQ(found, "") << engine << " " << each.name;
    }
  }
}

}  // namespace
}  // namespace pocket::equality

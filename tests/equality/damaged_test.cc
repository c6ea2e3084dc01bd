// Damaged model files: whoever opens one gets a status and words, and everybody else is served.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <thread>

#include "answers.h"
#include "cases.h"
#include "damage.h"
#include "fixture.h"
#include "model/digest.h"

namespace pocket::equality {
namespace {

namespace fs = std::filesystem;

struct Source {
  const char* model;
  const char* file;  // below <model>/1
  std::vector<std::string> engines;
};

const std::vector<Source>& sources() {
  static const std::vector<Source> list = {
      {"dynamic_convolution", "model.onnx", {"onnxruntime", "openvino"}},
      {"silero_vad_op18_ifless", "model.onnx", {"onnxruntime", "openvino"}},
      {"external_data", "weights.data", {"onnxruntime", "openvino"}},
      {"basic_pitch_tflite", "model.tflite", {"openvino"}},
      {"basic_pitch_savedmodel", "model.savedmodel/saved_model.pb", {"openvino", "tensorflow"}},
      {"basic_pitch_savedmodel",
       "model.savedmodel/variables/variables.index",
       {"openvino", "tensorflow"}},
      {"basic_pitch_savedmodel",
       "model.savedmodel/variables/variables.data-00000-of-00001",
       {"openvino", "tensorflow"}},
      {"silero_vad_ir", "model.xml", {"openvino"}},
      {"silero_vad_ir", "model.bin", {"openvino"}},
      {"echo_float32", "model.null", {"null"}},
  };
  return list;
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class DamagedTest : public EqualityTest {
 protected:
  /// A copy of a model with one file damaged. All of an engine's share a runner.
  Case add_damaged(const Source& source, const Damage& damage) {
    Case each = find(source.model);
    const fs::path from = fs::path(each.folder) / "1";
    each.name = fmt::format("damaged-{}", ++count_);
    each.folder = service_.models() + "/" + each.name;
    fs::create_directories(each.folder);
    fs::copy(from, each.folder + "/1", fs::copy_options::recursive);
    testing::write_file(each.folder + "/model.toml",
                        "threads = 1\nconcurrency = 1\ngroup = 'damaged'\n");
    const fs::path file = fs::path(each.folder) / "1" / source.file;
    fs::remove(file);
    if (!damage.missing) testing::write_file(file.string(), damage.bytes);
    return each;
  }

  bool answers(const std::string& engine, const std::string& model) {
    const Answers given = answers_through_pocket(session_, engine, find(model));
    return given.load.status == POCKET_OK && given.calls.at(0).status == POCKET_OK;
  }

  /// Opens a damaged model and calls it: "refused", "loaded" or "crashed".
  std::string open(const std::string& engine, const Case& each, const std::string& what) {
    const Answers given = answers_through_pocket(session_, engine, each);
    const Answer& load = given.load;
    if (load.status == POCKET_OK) {
      for (const auto& call : given.calls) {
        EXPECT_TRUE(call.status == POCKET_OK || !call.message.empty()) << what;
        if (call.status == POCKET_UNAVAILABLE) return "crashed";
      }
      return "loaded";
    }
    EXPECT_NE(load.message.find(each.name), std::string::npos) << what << ": " << load.message;
    if (load.status == POCKET_UNAVAILABLE) {
      EXPECT_NE(load.message.find("runner"), std::string::npos) << what << ": " << load.message;
      return "crashed";
    }
    // Unless an entry of the model says so, it is the engine that finds the damage.
    constexpr int32_t kFine[] = {POCKET_ENGINE_ERROR, POCKET_DATA_LOSS, POCKET_UNIMPLEMENTED,
                                 POCKET_RESOURCE_EXHAUSTED};
    EXPECT_EQ(std::count(std::begin(kFine), std::end(kFine), load.status), 1)
        << what << ": " << pocket_status_name(load.status) << " " << load.message;
    const std::string start = fmt::format("({}): ", engine);
    const size_t words = load.message.find(start);
    EXPECT_TRUE(words != std::string::npos && load.message.size() > words + start.size())
        << what << " without the engine's own words: " << load.message;
    return "refused";
  }

  int count_ = 0;
};

TEST_F(DamagedTest, OneModelsDamageIsNobodyElses) {
  const auto built = model_engines(POCKET_ENGINE_DIR);
  for (const auto& source : sources()) {
    const std::string bytes = read_file(find(source.model).folder + "/1/" + source.file);
    ASSERT_GT(bytes.size(), 64U) << source.model;
    const bool is_model = fs::path(source.file).filename().string().starts_with("model.") &&
                          !std::string(source.file).ends_with(".bin");
    for (const auto& engine : source.engines) {
      if (std::find(built.begin(), built.end(), engine) == built.end()) continue;
      std::map<std::string, std::vector<std::string>> verdicts;
      for (const auto& damage : damages_of(bytes, is_model)) {
        const std::string what =
            fmt::format("{} {} {} {}", engine, source.model, source.file, damage.name);
        const std::string verdict = open(engine, add_damaged(source, damage), what);
        verdicts[verdict].push_back(damage.name);
        // An empty model.null is a model without tensors.
        EXPECT_FALSE(damage.must_fail && verdict == "loaded" && engine != "null") << what;
        ASSERT_TRUE(answers("null", "echo_int8")) << what << "\n" << service_.log();
      }
      fmt::print("{:<12} {:<22} {:<56}", engine, source.model, source.file);
      for (const auto& [verdict, names] : verdicts) {
        fmt::print(" {} {} ({})", names.size(), verdict, fmt::join(names, " "));
      }
      fmt::print("\n");
      const std::string healthy = engine == "null"         ? "echo_int8"
                                  : engine == "tensorflow" ? "basic_pitch_savedmodel"
                                                           : "scalar";
      EXPECT_TRUE(answers(engine, healthy)) << engine << "\n" << service_.log();
    }
  }
  EXPECT_EQ(::kill(service_.pid(), 0), 0);
}

TEST_F(DamagedTest, AModelThatEndsItsRunnerWhileItLoads) {
  service_.add_null_model("deadly", "mode = 'crash'\n[[outputs]]\nname = 'y'\nshape = [1]\n");
  pocket_model* model = nullptr;
  // It is opened again until the service says that it waits, because its runner crashes each time.
  EXPECT_NE(pocket_status_is_retryable(pocket_model_open(session_, "deadly", nullptr, &model)), 0);
  const std::string message = pocket_last_error();
  EXPECT_NE(message.find("'deadly'"), std::string::npos) << message;
  EXPECT_NE(message.find("runner"), std::string::npos) << message;
  EXPECT_TRUE(answers("null", "echo_int8")) << service_.log();
}

TEST_F(DamagedTest, ADigestTellsOfDamageBeforeTheEngineDoes) {
  const Source source = {"external_data", "weights.data", {}};
  const auto digest = model::digest_folder(find(source.model).folder + "/1");
  ASSERT_TRUE(digest.ok()) << digest.error().message;
  const std::string bytes = read_file(find(source.model).folder + "/1/" + source.file);
  for (const auto& damage : damages_of(bytes, false)) {
    const Case each = add_damaged(source, damage);
    testing::write_file(each.folder + "/model.toml", fmt::format("sha256 = '{}'\n", *digest));
    pocket_model* model = nullptr;
    EXPECT_EQ(pocket_model_open(session_, each.name.c_str(), nullptr, &model), POCKET_DATA_LOSS)
        << damage.name << ": " << pocket_last_error();
  }
}

}  // namespace
}  // namespace pocket::equality

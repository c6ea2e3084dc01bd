// One client of the chaos test: calls models of the null engine at random and checks each answer.
//
//   chaos-client SEED HEARTBEAT MODEL...
//
// Every model gives back the float32 values that it gets. HEARTBEAT is a file of 16 bytes that this
// program maps: calls answered so far, then how often one of them was sent again. Ends at SIGTERM
// with one line: "calls N retries N longest_ms N reopened N". Exit: 0, 1 a call failed or its
// answer was wrong, which standard error says.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "pocket/pocket.hpp"

namespace {

std::atomic<bool> stopping{false};

struct Heartbeat {
  std::atomic<uint64_t> calls;
  std::atomic<uint64_t> retries;
};

// What a call may take at worst: backed-off restarts of the service and of models, on a busy
// machine, with processes stopped for a while. A client that waits longer is stuck.
constexpr uint64_t kDeadlineNs = 120'000'000'000;

struct Open {
  explicit Open(const pocket::Session& session, const std::string& name)
      : model(session, name), call(model) {}
  pocket::Model model;
  pocket::Call call;
};

class Client {
 public:
  Client(uint64_t seed, Heartbeat& heartbeat, std::vector<std::string> models)
      : random_(seed),
        heartbeat_(heartbeat),
        models_(std::move(models)),
        session_(pocket::ConnectOptions{}) {}

  /// False: a wrong answer.
  bool call_once() {
    const std::string& name = models_[random_() % models_.size()];
    auto& open = open_[name];
    if (open == nullptr || random_() % 50 == 0) {
      open.reset();
      open = std::make_unique<Open>(session_, name);
      ++reopened_;
    }
    const auto count = static_cast<int64_t>(size());
    const auto first = static_cast<float>(random_() % 100'000);
    const std::span<float> input = open->call.input<float>(0, {count});
    for (size_t index = 0; index < input.size(); ++index) input[index] = value(first, index);
    const auto began = std::chrono::steady_clock::now();
    open->call.run(kDeadlineNs);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - began;
    longest_ms_ = std::max(longest_ms_, took.count());
    heartbeat_.retries.fetch_add(open->call.retries());
    const auto output = open->call.output(0).values<float>();
    if (output.size() != static_cast<size_t>(count)) return false;
    for (size_t index = 0; index < output.size(); ++index) {
      if (output[index] != value(first, index)) return false;
    }
    heartbeat_.calls.fetch_add(1);
    return true;
  }
  void report() const {
    std::printf("calls %lu retries %lu longest_ms %.0f reopened %lu\n", heartbeat_.calls.load(),
                heartbeat_.retries.load(), longest_ms_, reopened_);
  }

 private:
  static float value(float first, size_t index) { return first + static_cast<float>(index % 1000); }
  /// Mostly small; now and then so large that the channel must grow.
  size_t size() {
    const uint64_t draw = random_() % 100;
    if (draw < 70) return 1 + random_() % 1000;
    if (draw < 97) return 1000 + random_() % 150'000;
    return 300'000 + random_() % 300'000;
  }

  std::mt19937_64 random_;
  Heartbeat& heartbeat_;
  const std::vector<std::string> models_;
  const pocket::Session session_;
  std::map<std::string, std::unique_ptr<Open>> open_;
  double longest_ms_ = 0;
  uint64_t reopened_ = 0;
};

Heartbeat* map_heartbeat(const char* path) {
  const int file = ::open(path, O_RDWR | O_CLOEXEC);
  void* memory = ::mmap(nullptr, sizeof(Heartbeat), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ::close(file);
  return memory == MAP_FAILED ? nullptr : static_cast<Heartbeat*>(memory);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  uint64_t seed = 0;
  const std::string_view text = argv[1];
  std::from_chars(text.data(), text.data() + text.size(), seed);
  Heartbeat* heartbeat = map_heartbeat(argv[2]);
  if (heartbeat == nullptr) return 2;
  ::signal(SIGTERM, [](int) { stopping.store(true); });
  try {
    Client client(seed, *heartbeat, {argv + 3, argv + argc});
    while (!stopping.load()) {
      if (!client.call_once()) {
        std::fprintf(stderr, "a wrong answer\n");
        return 1;
      }
    }
    client.report();
  } catch (const pocket::StatusError& error) {
    std::fprintf(stderr, "%s: %s\n", pocket_status_name(error.status()), error.what());
    return 1;
  }
  return 0;
}

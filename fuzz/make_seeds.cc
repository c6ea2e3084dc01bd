// make_seeds FOLDER: writes the seeds that are not text, FOLDER/<target>/<name>, from the real
// encoders.
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "cli/npy.h"
#include "fuzz.h"
#include "lease/book.h"
#include "lease/fake_driver.h"
#include "wire/control.h"
#include "wire/layout.h"

namespace {

namespace fs = std::filesystem;
namespace control = pocket::wire::control;
using namespace pocket;

fs::path top;

void put(const std::string& target, const std::string& name, const void* data, size_t size) {
  fs::create_directories(top / target);
  std::ofstream(top / target / name, std::ios::binary)
      .write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
}

template <typename Table>
void message(const std::string& name, Table table) {
  const auto packet = wire::encode_message(7, std::move(table));
  put("control", name, packet.data(), packet.size());
}

void control_seeds() {
  control::HelloT hello;
  hello.version_min = hello.version_max = 1;
  hello.client_name = "seed";
  hello.cpu_policy = "adaptive,ratio,0.9";
  message("hello", std::move(hello));
  control::OpenModelT open;
  open.name = "mobilenetv2";
  open.request_bytes = open.response_bytes = 1 << 20;
  message("open", std::move(open));
  control::OpenedT opened;
  auto info = std::make_unique<control::TensorInfoT>();
  info->name = "x";
  info->dtype = POCKET_FLOAT32;
  info->rank = 2;
  info->shape = {1, 224};
  opened.inputs.push_back(std::move(info));
  message("opened", std::move(opened));
  message("grow", control::GrowChannelT{});
  message("status", control::GetStatusT{});
  message("leases", control::LeasesT{});
  message("failed", control::FailedT{});
  message("runner-load", control::RunnerLoadT{});
  message("runner-attach", control::RunnerAttachT{});
}

template <typename T>
void append(std::vector<uint8_t>& bytes, const T& value) {
  const auto* from = reinterpret_cast<const uint8_t*>(&value);
  bytes.insert(bytes.end(), from, from + sizeof(T));
}

wire::Submission submission() {
  wire::Submission made{};
  made.call_id = 1;
  made.opcode = wire::Opcode::kRun;
  made.block_offset = wire::kArenaOffset;
  made.block_bytes = sizeof(wire::CallBlock) + 2 * sizeof(wire::TensorRecord);
  made.deadline_ns = UINT64_MAX;
  made.table_offset = wire::kArenaOffset;
  made.table_bytes = sizeof(wire::TensorRecord);
  return made;
}

void call_seeds() {
  for (const int32_t dtype : {POCKET_FLOAT32, POCKET_INT64, POCKET_STRING}) {
    std::vector<uint8_t> bytes;
    for (int region = 0; region < 4; ++region) append(bytes, uint32_t{1 << 20});
    append(bytes, submission());
    append(bytes, wire::CallBlock{.input_count = 1, .output_count = 1, .reserved = {}});
    wire::TensorRecord input{};
    input.dtype = dtype;
    input.rank = 1;
    input.shape[0] = 2;
    input.offset = wire::kArenaOffset + 4096;
    input.bytes = dtype == POCKET_FLOAT32 ? 8 : dtype == POCKET_INT64 ? 16 : 26;
    append(bytes, input);
    wire::TensorRecord output{};
    output.offset = wire::kArenaOffset + 4096;
    output.bytes = 64;
    append(bytes, output);
    for (const uint64_t offset : {0, 1, 2}) append(bytes, offset);
    append(bytes, uint16_t{0x6261});
    put("call", "dtype-" + std::to_string(dtype), bytes.data(), bytes.size());
  }
}

void ring_seeds() {
  std::vector<uint8_t> orderly;
  for (int call = 0; call < 3; ++call) {
    append(orderly, uint8_t{1});
    append(orderly, submission());
    append(orderly, uint8_t{2});
    append(orderly, uint8_t{3});
  }
  put("ring", "orderly", orderly.data(), orderly.size());
  std::vector<uint8_t> jumps;  // the counter of submissions is set to 2^64 - 1
  append(jumps, uint8_t{0});
  append(jumps, static_cast<uint16_t>(offsetof(wire::RequestHeader, submitted)));
  append(jumps, uint8_t{8});
  append(jumps, UINT64_MAX);
  append(jumps, uint8_t{2});
  put("ring", "jumps", jumps.data(), jumps.size());
  std::vector<uint8_t> full;
  for (int call = 0; call < 300; ++call) {
    append(full, uint8_t{1});
    append(full, submission());
    append(full, uint8_t{2});
  }
  put("ring", "full", full.data(), full.size());
}

void npy_seeds() {
  fs::create_directories(top / "npy");
  (void)cli::write_npy(top / "npy/float32", {POCKET_FLOAT32, {2, 2}, std::vector<char>(16), {}});
  (void)cli::write_npy(top / "npy/int64", {POCKET_INT64, {0, 3}, {}, {}});
  (void)cli::write_npy(top / "npy/bool", {POCKET_BOOL, {}, std::vector<char>(1), {}});
  (void)cli::write_npy(top / "npy/strings", {POCKET_STRING, {2}, {}, {"a", "seed"}});
}

/// A ledger as a service leaves it that is killed while loans are out.
void ledger_seed(const std::string& name, int die_after) {
  fs::create_directories(top / "ledger");
  const std::string path = top / "ledger" / name;
  const pid_t child = ::fork();
  if (child != 0) {
    ::waitpid(child, nullptr, 0);
    return;
  }
  lease::LedgerOptions options;
  options.accounts = 8;
  options.loans = 16;
  lease::FakeDriver driver;
  driver.add(lease::Resource::kCpu, "client", {20'000, 100'000});
  driver.add(lease::Resource::kCpu, "runner", {100'000, 100'000});
  int boundaries = 0;
  driver.boundary = [&] {
    if (++boundaries == die_after) ::_exit(0);
  };
  auto ledger = lease::Ledger::open(path, options);
  fuzz::require(ledger.ok(), "no ledger");
  auto book = lease::Book::open(std::move(*ledger), driver);
  fuzz::require(book.ok(), "no book");
  const auto lender = (*book)->add_account(lease::Resource::kCpu, "client");
  const auto borrower = (*book)->add_account(lease::Resource::kCpu, "runner");
  fuzz::require(lender.ok() && borrower.ok(), "no accounts");
  auto loan = (*book)->lend(*lender, *borrower, 10'000);
  fuzz::require(loan.ok(), "no loan");
  ::_exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_seeds FOLDER\n");
    return 2;
  }
  top = argv[1];
  control_seeds();
  call_seeds();
  ring_seeds();
  npy_seeds();
  for (const int die_after : {6, 8, 10, 12, 1000}) {
    ledger_seed("killed-" + std::to_string(die_after), die_after);
  }
  return 0;
}

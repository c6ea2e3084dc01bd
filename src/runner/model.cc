#include "runner/model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "base/checked.h"
#include "runner/peers.h"

namespace pocket::runner {
namespace {

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

std::string shape_text(std::span<const int64_t> shape) {
  std::string text;
  for (int64_t size : shape) {
    text += fmt::format("{}{}", text.empty() ? "" : ", ", size < 0 ? "?" : std::to_string(size));
  }
  return "[" + text + "]";
}

template <typename T>
void fill(void* data, uint64_t bytes, T value) {
  std::fill_n(static_cast<T*>(data), bytes / sizeof(T), value);
}

/// Zeros; integers are 1, because they may be sizes, steps or divisors, of which 0 ends some
/// engines with a signal.
void fill_for_warm_up(int32_t dtype, void* data, uint64_t bytes) {
  switch (dtype) {
    case POCKET_INT8:
    case POCKET_UINT8:
      return fill<uint8_t>(data, bytes, 1);
    case POCKET_INT16:
    case POCKET_UINT16:
      return fill<uint16_t>(data, bytes, 1);
    case POCKET_INT32:
    case POCKET_UINT32:
      return fill<uint32_t>(data, bytes, 1);
    case POCKET_INT64:
    case POCKET_UINT64:
      return fill<uint64_t>(data, bytes, 1);
    default:
      return fill<uint8_t>(data, bytes, 0);
  }
}

void* allocate_scratch(void* context, uint32_t, size_t bytes) {
  auto* kept = static_cast<std::vector<std::unique_ptr<void, Free>>*>(context);
  kept->emplace_back(
      std::aligned_alloc(64, checked_align_up(std::max<size_t>(bytes, 1), 64).value()));
  return kept->back().get();
}

}  // namespace

RunnerModel::RunnerModel(engine::Model model, uint32_t concurrency, uint32_t threads,
                         std::unique_ptr<Peers> peers)
    : concurrency_(concurrency),
      threads_(threads),
      peers_(std::move(peers)),
      model_(std::move(model)) {}

RunnerModel::RunnerModel(engine::Model model, uint32_t concurrency, uint32_t threads)
    : RunnerModel(std::move(model), concurrency, threads, nullptr) {}

RunnerModel::~RunnerModel() = default;

Client::Client(std::weak_ptr<RunnerModel> used)
    : number([] {
        static std::atomic<uint64_t> next{1};
        return next.fetch_add(1);
      }()),
      model(std::move(used)) {}

Client::~Client() {
  if (const auto used = model.lock()) used->client_gone(number);
}

std::shared_ptr<const Client> RunnerModel::join(uint64_t session) {
  MutexLock lock(mutex_);
  auto client = clients_[session].lock();
  if (client == nullptr) {
    std::erase_if(clients_, [](const auto& entry) { return entry.second.expired(); });
    client = std::make_shared<const Client>(weak_from_this());
    clients_[session] = client;
  }
  return client;
}

void RunnerModel::client_gone(uint64_t client) {
  model_.client_gone(client);
  if (peers_ != nullptr) peers_->client_gone(client);
}

Result<engine::Context> RunnerModel::take_context() {
  {
    MutexLock lock(mutex_);
    if (!idle_.empty()) {
      engine::Context context = std::move(idle_.back());
      idle_.pop_back();
      return context;
    }
  }
  return model_.create_context();
}

void RunnerModel::started() {
  if (concurrency_ < 2) {
    running_ += 1;
    return;
  }
  MutexLock lock(running_mutex_);
  model_.expect_parallel_runs(static_cast<uint32_t>(++running_));
}

void RunnerModel::set_watch(std::shared_ptr<const Watch> watch) {
  MutexLock lock(mutex_);
  watch_ = std::move(watch);
  watched_.store(watch_ != nullptr);
}

std::shared_ptr<const Watch> RunnerModel::watch() const {
  if (!watched_.load(std::memory_order_acquire)) return nullptr;
  MutexLock lock(mutex_);
  return watch_;
}

void RunnerModel::rest() {
  if (concurrency_ < 2 || running_ > 0) return;
  MutexLock lock(running_mutex_);
  if (running_ == 0) model_.expect_parallel_runs(0);
}

bool RunnerModel::give_back() {
  MutexLock lock(give_back_mutex_);
  if (running_ > 0) return false;
  model_.give_back();
  return true;
}

Result<void> RunnerModel::run(std::span<const pocket_engine_input> inputs,
                              std::span<pocket_engine_output> outputs,
                              const pocket_engine_call* call) {
  POCKET_ASSIGN_OR_RETURN(engine::Context context, take_context());
  started();
  auto result = context.run(inputs, outputs, call);
  // Not told yet: under load another one starts at once.
  running_ -= 1;
  MutexLock lock(mutex_);
  idle_.push_back(std::move(context));
  return result;
}

Result<void> check_tensor(const engine::TensorInfo& expected, int32_t dtype,
                          std::span<const int64_t> shape) {
  if (dtype != expected.dtype && !is_optional(expected)) {
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("input '{}' must be {}, {} was given", expected.name,
                             pocket_dtype_name(expected.dtype), pocket_dtype_name(dtype))};
  }
  if (expected.rank < 0) return ok_result();
  bool fits = shape.size() == static_cast<size_t>(expected.rank);
  for (size_t axis = 0; fits && axis < shape.size(); ++axis) {
    fits = expected.shape[axis] < 0 || expected.shape[axis] == shape[axis];
  }
  if (fits) return ok_result();
  return Error{POCKET_INVALID_ARGUMENT,
               fmt::format("input '{}' must have shape {}, {} was given", expected.name,
                           shape_text(expected.dimensions()), shape_text(shape))};
}

Result<void> warm_up(RunnerModel& model) {
  std::vector<std::unique_ptr<void, Free>> memory;
  std::vector<pocket_engine_input> inputs;
  if (model.follows_calls()) return ok_result();  // what it would do for nobody, nobody knows
  for (const auto& info : model.inputs()) {
    if (info.rank < 0) return ok_result();
    pocket_engine_input input{};
    input.index = static_cast<uint32_t>(inputs.size());
    input.dtype = info.dtype;
    input.rank = info.rank;
    for (int32_t axis = 0; axis < info.rank; ++axis) {
      input.shape[axis] = std::max<int64_t>(info.shape[axis], 1);
    }
    const std::span<const int64_t> shape(input.shape, static_cast<size_t>(input.rank));
    const auto bytes = info.dtype == POCKET_STRING ? checked_multiply(*element_count(shape) + 1, 8)
                                                   : tensor_bytes(info.dtype, shape);
    if (!bytes) return ok_result();
    void* data = allocate_scratch(&memory, 0, *bytes);
    if (data == nullptr) return Error{POCKET_RESOURCE_EXHAUSTED, "no memory for the warm-up"};
    fill_for_warm_up(info.dtype, data, *bytes);
    input.data = data;
    input.bytes = *bytes;
    inputs.push_back(input);
  }
  std::vector<pocket_engine_output> outputs(model.outputs().size());
  for (size_t index = 0; index < outputs.size(); ++index) {
    outputs[index].index = static_cast<uint32_t>(index);
    outputs[index].allocate = allocate_scratch;
    outputs[index].allocate_context = &memory;
  }
  return model.run(inputs, outputs);
}

}  // namespace pocket::runner

#include "runner/execute.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <optional>

#include "base/checked.h"
#include "base/clock.h"

namespace pocket::runner {
namespace {

using wire::TensorRecord;

bool is_float(int32_t dtype) {
  return dtype == POCKET_FLOAT32 || dtype == POCKET_FLOAT16 || dtype == POCKET_FLOAT64 ||
         dtype == POCKET_BFLOAT16 || dtype == POCKET_COMPLEX64 || dtype == POCKET_COMPLEX128;
}

std::span<const int64_t> shape_of(const TensorRecord& record) {
  return {record.shape, static_cast<size_t>(record.rank)};
}

/// Room for one output while the engine runs.
struct OutputRoom {
  Memory memory;  // set when the engine had to be given room of the runner's
  bool keep = false;
};

/// The memory of one run; reused by its thread from call to call.
struct Workspace {
  std::vector<pocket_engine_input> inputs;
  std::vector<pocket_engine_output> outputs;
  std::vector<OutputRoom> rooms;  // one for each output of the call, in its order
  std::vector<Memory> copies;
  std::vector<std::shared_ptr<const KeptTensor>> kept;

  void reset() {
    inputs.clear();
    outputs.clear();
    rooms.clear();
    copies.clear();
    kept.clear();
  }
};

void* allocate_output(void* context, uint32_t, size_t bytes) {
  auto* room = static_cast<OutputRoom*>(context);
  room->memory = room->keep ? allocate_kept(bytes) : allocate_memory(bytes);
  return room->memory.get();
}

Result<void> bind_kept(const Call& call, const TensorRecord& record, Workspace& space) {
  POCKET_ASSIGN_OR_RETURN(auto kept, call.channel->handles().find(record.handle));
  const std::span<const int64_t> shape(kept->shape, static_cast<size_t>(kept->rank));
  POCKET_RETURN_IF_ERROR(
      check_tensor(call.channel->model().inputs()[record.index], kept->dtype, shape));
  pocket_engine_input input{};
  input.index = record.index;
  input.dtype = kept->dtype;
  input.rank = kept->rank;
  std::copy(shape.begin(), shape.end(), input.shape);
  input.data = kept->data.get();
  input.bytes = kept->bytes;
  space.inputs.push_back(input);
  space.kept.push_back(std::move(kept));
  return ok_result();
}

Result<void> bind_input(const Call& call, const TensorRecord& record, Workspace& space) {
  if ((record.flags & wire::kTensorByHandle) != 0) return bind_kept(call, record, space);
  pocket_engine_input input{};
  input.index = record.index;
  input.dtype = record.dtype;
  input.rank = record.rank;
  std::copy_n(record.shape, record.rank, input.shape);
  input.data = call.channel->request_data(record.region, record.offset);
  input.bytes = record.bytes;
  if (!is_float(record.dtype)) {
    // The client may change its memory at any time: what could be used as an index is copied first.
    Memory copy = allocate_memory(record.bytes);
    if (copy == nullptr) {
      return Error{POCKET_RESOURCE_EXHAUSTED, fmt::format("no memory to copy input {} of {} bytes",
                                                          record.index, record.bytes)};
    }
    std::memcpy(copy.get(), input.data, record.bytes);
    input.data = copy.get();
    if (record.dtype == POCKET_STRING) {
      POCKET_RETURN_IF_ERROR(
          wire::check_strings({static_cast<const std::byte*>(copy.get()), record.bytes},
                              element_count(shape_of(record)).value_or(0)));
    }
    space.copies.push_back(std::move(copy));
  }
  space.inputs.push_back(input);
  return ok_result();
}

void bind_output(const Call& call, const TensorRecord& record, Workspace& space) {
  OutputRoom& room = space.rooms.emplace_back();
  room.keep = (record.flags & wire::kTensorByHandle) != 0;
  pocket_engine_output output{};
  output.index = record.index;
  if (!room.keep && record.bytes > 0) {
    output.data = call.channel->response_data(record.region, record.offset);
    output.capacity = record.bytes;
  }
  output.allocate = allocate_output;
  output.allocate_context = &room;  // rooms is reserved: the address stays
  space.outputs.push_back(output);
}

/// Bytes of response arena that all outputs need, each rounded up; 0 when they fitted.
uint64_t missing_room(const Workspace& space) {
  bool missing = false;
  uint64_t bytes = 0;
  for (size_t index = 0; index < space.outputs.size(); ++index) {
    if (space.rooms[index].keep) continue;
    missing = missing || space.rooms[index].memory != nullptr;
    bytes += checked_align_up(space.outputs[index].bytes, wire::kTensorAlignment).value_or(0);
  }
  return missing ? std::max<uint64_t>(bytes, wire::kTensorAlignment) : 0;
}

/// Writes what each output became; with `keep` the kept ones go to the session's store.
Result<void> fill_table(const Call& call, Workspace& space, bool keep,
                        std::vector<TensorRecord>& table) {
  for (size_t index = 0; index < space.outputs.size(); ++index) {
    const pocket_engine_output& output = space.outputs[index];
    TensorRecord record = call.view.outputs[index];
    record.dtype = output.dtype;
    record.rank = output.rank;
    std::fill(std::begin(record.shape), std::end(record.shape), 0);
    std::copy_n(output.shape, output.rank, record.shape);
    record.bytes = output.bytes;
    if (keep && space.rooms[index].keep) {
      KeptTensor kept;
      kept.dtype = output.dtype;
      kept.rank = output.rank;
      std::copy_n(output.shape, output.rank, kept.shape);
      kept.bytes = output.bytes;
      kept.data = std::move(space.rooms[index].memory);
      POCKET_ASSIGN_OR_RETURN(record.handle, call.channel->handles().keep(std::move(kept)));
    }
    table.push_back(record);
  }
  return ok_result();
}

Result<void> bind_all(const Call& call, Workspace& space) {
  for (const auto& record : call.view.inputs) {
    POCKET_RETURN_IF_ERROR(bind_input(call, record, space));
  }
  space.rooms.reserve(call.view.outputs.size());
  for (const auto& record : call.view.outputs) bind_output(call, record, space);
  return ok_result();
}

Outcome failed(Error error) {
  Outcome outcome;
  outcome.status = error.code;
  outcome.message = std::move(error.message);
  return outcome;
}

int32_t is_cancelled(const void* context) {
  const Call& call = *static_cast<const Call*>(context);
  return call.cancelled.load() || call.channel->closed() ? 1 : 0;
}

Outcome run_in(Workspace& space, const Call& call) {
  space.reset();
  if (auto bound = bind_all(call, space); !bound.ok()) return failed(std::move(bound).error());
  std::optional<Watch::Flight> flight;
  if (const auto watch = call.channel->model().watch()) {
    auto started = watch->start(call.channel->id(), space.inputs);
    if (!started.ok()) return failed(std::move(started).error());
    flight.emplace(std::move(*started));
  }
  Outcome outcome;
  const pocket_engine_call info{
      sizeof(info), 0, call.channel->client(), call.submission.deadline_ns, is_cancelled, &call};
  const uint64_t before = monotonic_ns();
  auto ran = call.channel->model().run(space.inputs, space.outputs, &info);
  const uint64_t compute_ns = monotonic_ns() - before;
  if (!ran.ok()) {
    outcome = failed(std::move(ran).error());
  } else if (const uint64_t needed = missing_room(space); needed > 0) {
    // The table says what each output needs, so that the client can make room and ask again.
    outcome.status = POCKET_OUTPUT_TOO_SMALL;
    outcome.needed_bytes = needed;
    (void)fill_table(call, space, /*keep=*/false, outcome.table);
  } else if (auto filled = fill_table(call, space, /*keep=*/true, outcome.table); !filled.ok()) {
    outcome = failed(std::move(filled).error());
  }
  outcome.compute_ns = compute_ns;
  return outcome;
}

Result<void> check_inputs(const Call& call) {
  const auto& expected = call.channel->model().inputs();
  uint64_t seen = 0;
  for (const auto& record : call.view.inputs) {
    if (record.index >= expected.size()) {
      return Error{POCKET_INVALID_ARGUMENT,
                   fmt::format("the model has {} inputs; input {} was given", expected.size(),
                               record.index)};
    }
    const uint64_t bit = uint64_t{1} << record.index;
    if ((seen & bit) != 0) {
      return Error{POCKET_INVALID_ARGUMENT,
                   fmt::format("input '{}' was given twice", expected[record.index].name)};
    }
    seen |= bit;
    if ((record.flags & wire::kTensorByHandle) != 0) continue;  // checked when it is found
    POCKET_RETURN_IF_ERROR(check_tensor(expected[record.index], record.dtype, shape_of(record)));
  }
  for (size_t index = 0; index < expected.size(); ++index) {
    if ((seen >> index & 1) == 0 && !is_optional(expected[index])) {
      return Error{POCKET_INVALID_ARGUMENT,
                   fmt::format("input '{}' is missing", expected[index].name)};
    }
  }
  return ok_result();
}

Result<void> check_outputs(const Call& call) {
  const auto& known = call.channel->model().outputs();
  uint64_t seen = 0;
  for (const auto& record : call.view.outputs) {
    if (record.index >= known.size()) {
      return Error{POCKET_INVALID_ARGUMENT,
                   fmt::format("the model has {} outputs; output {} was asked for", known.size(),
                               record.index)};
    }
    const uint64_t bit = uint64_t{1} << record.index;
    if ((seen & bit) != 0) {
      return Error{POCKET_INVALID_ARGUMENT,
                   fmt::format("output '{}' was asked for twice", known[record.index].name)};
    }
    seen |= bit;
  }
  return ok_result();
}

}  // namespace

Result<void> prepare(Call& call, bool* malformed) {
  if (malformed != nullptr) *malformed = true;
  const wire::RegionSizes sizes = call.channel->sizes();
  POCKET_RETURN_IF_ERROR(wire::check_submission(call.submission, sizes));
  call.block.resize(call.submission.block_bytes);
  std::memcpy(
      call.block.data(),
      call.channel->request_data(call.submission.block_region, call.submission.block_offset),
      call.block.size());
  POCKET_ASSIGN_OR_RETURN(call.view, wire::check_block(call.block, call.submission, sizes));
  if (malformed != nullptr) *malformed = false;
  POCKET_RETURN_IF_ERROR(check_inputs(call));
  return check_outputs(call);
}

Outcome execute(const Call& call, uint64_t started_ns) {
  thread_local Workspace space;
  Outcome outcome;
  const uint64_t queue_ns = started_ns - std::min(call.seen_ns, started_ns);
  if (call.cancelled.load()) {
    outcome = failed(Error{POCKET_CANCELLED, "the call was cancelled before it ran"});
  } else if (call.submission.deadline_ns <= started_ns) {
    outcome = failed(
        Error{POCKET_DEADLINE_EXCEEDED,
              fmt::format("the deadline passed {:.3f} ms before the call could run",
                          static_cast<double>(started_ns - call.submission.deadline_ns) / 1e6)});
  } else {
    try {
      outcome = run_in(space, call);
    } catch (const std::bad_alloc&) {
      outcome = failed(Error{POCKET_RESOURCE_EXHAUSTED,
                             "the runner has no memory left for this call: try a smaller one, or "
                             "unload a model"});
    }
  }
  outcome.queue_ns = queue_ns;
  space.reset();
  return outcome;
}

}  // namespace pocket::runner

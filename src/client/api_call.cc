// Calls in the C interface of pocket/pocket.h.
#include <algorithm>
#include <cstring>
#include <string>

#include "base/checked.h"
#include "base/clock.h"
#include "client/api_parts.h"

namespace {

using pocket::Error;
using pocket::Result;
using pocket::client::failed;
using pocket::client::give;
using pocket::client::guarded;
using pocket::client::missing;
using pocket::client::status_of;

bool good_shape(int32_t rank, const int64_t* shape) {
  return rank >= 0 && rank <= POCKET_MAX_RANK && (rank == 0 || shape != nullptr);
}

int32_t bad_shape() {
  return failed(Error{POCKET_INVALID_ARGUMENT, "rank must be 0 to 8, and shape given"});
}

}  // namespace

extern "C" {

int32_t pocket_call_create(pocket_model* model, pocket_call** call) {
  if (model == nullptr || call == nullptr) return missing("model and call");
  return guarded([&]() -> int32_t {
    if (auto good = model->model->session().check_process(); !good.ok())
      return failed(good.error());
    *call = new pocket_call{model, pocket::client::Call(*model->model)};
    return POCKET_OK;
  });
}

void pocket_call_destroy(pocket_call* call) { delete call; }

int32_t pocket_call_input(pocket_call* call, uint32_t index, int32_t dtype, int32_t rank,
                          const int64_t* shape, pocket_tensor* tensor) {
  if (call == nullptr || tensor == nullptr) return missing("call and tensor");
  if (!good_shape(rank, shape)) return bad_shape();
  return guarded([&] {
    return give(call->call.set_input(index, dtype, {shape, static_cast<size_t>(rank)}), tensor);
  });
}

int32_t pocket_call_input_strings(pocket_call* call, uint32_t index, int32_t rank,
                                  const int64_t* shape, const char* const* strings,
                                  const size_t* lengths) {
  if (call == nullptr) return missing("call");
  if (!good_shape(rank, shape)) return bad_shape();
  const bool empty = std::count(shape, shape + rank, 0) > 0;  // there is nothing to point to
  if (!empty && (strings == nullptr || lengths == nullptr)) return missing("strings and lengths");
  return guarded([&] {
    return status_of(
        call->call.set_strings(index, {shape, static_cast<size_t>(rank)}, strings, lengths));
  });
}

int32_t pocket_call_input_handle(pocket_call* call, uint32_t index, uint64_t handle) {
  if (call == nullptr) return missing("call");
  return guarded([&] { return status_of(call->call.set_input_handle(index, handle)); });
}

int32_t pocket_call_clear_input(pocket_call* call, uint32_t index) {
  if (call == nullptr) return missing("call");
  return status_of(call->call.clear_input(index));
}

int32_t pocket_call_keep_output(pocket_call* call, uint32_t index, int32_t keep) {
  if (call == nullptr) return missing("call");
  return status_of(call->call.keep_output(index, keep != 0));
}

int32_t pocket_call_submit(pocket_call* call, uint64_t deadline_ns) {
  if (call == nullptr) return missing("call");
  return guarded([&] { return status_of(call->call.submit(pocket::deadline_after(deadline_ns))); });
}

int32_t pocket_call_wait(pocket_call* call, uint64_t timeout_ns) {
  if (call == nullptr) return missing("call");
  return guarded([&] { return status_of(call->call.wait(pocket::deadline_after(timeout_ns))); });
}

int32_t pocket_call_done(const pocket_call* call) {
  return call != nullptr && const_cast<pocket_call*>(call)->call.done() ? 1 : 0;
}

int32_t pocket_call_cancel(pocket_call* call) {
  if (call == nullptr) return missing("call");
  return status_of(call->call.cancel());
}

int32_t pocket_call_output(pocket_call* call, uint32_t index, pocket_tensor* tensor) {
  if (call == nullptr || tensor == nullptr) return missing("call and tensor");
  return give(call->call.output(index), tensor);
}

int32_t pocket_call_output_string(pocket_call* call, uint32_t index, size_t element,
                                  const char** string, size_t* length) {
  if (call == nullptr || string == nullptr || length == nullptr) {
    return missing("call, string and length");
  }
  pocket_tensor tensor{};
  if (const int32_t status = give(call->call.output(index), &tensor); status != POCKET_OK) {
    return status;
  }
  const auto count =
      pocket::element_count({tensor.shape, static_cast<size_t>(tensor.rank)}).value_or(0);
  const uint64_t head = (count + 1) * sizeof(uint64_t);
  if (tensor.dtype != POCKET_STRING || element >= count || head > tensor.bytes) {
    return failed(Error{POCKET_NOT_FOUND, "the output has no string " + std::to_string(element)});
  }
  const auto* offsets = static_cast<const uint64_t*>(tensor.data);
  const uint64_t from = offsets[element];
  const uint64_t to = offsets[element + 1];
  if (from > to || to > tensor.bytes - head) {
    return failed(Error{POCKET_DATA_LOSS, "the runner answered impossible strings"});
  }
  *string = static_cast<const char*>(tensor.data) + head + from;
  *length = to - from;
  return POCKET_OK;
}

int32_t pocket_call_output_handle(pocket_call* call, uint32_t index, uint64_t* handle) {
  if (call == nullptr || handle == nullptr) return missing("call and handle");
  return give(call->call.output_handle(index), handle);
}

int32_t pocket_call_receipt(const pocket_call* call, pocket_receipt* receipt) {
  if (call == nullptr || receipt == nullptr) return missing("call and receipt");
  return give(call->call.receipt(), receipt);
}

int32_t pocket_call_retries(const pocket_call* call, uint32_t* retries) {
  if (call == nullptr || retries == nullptr) return missing("call and retries");
  *retries = call->call.retries();
  return POCKET_OK;
}

int32_t pocket_handle_release(pocket_model* model, uint64_t handle) {
  if (model == nullptr) return missing("model");
  return guarded([&]() -> int32_t {
    auto channel = model->model->channel();
    if (!channel.ok()) return failed(channel.error());
    pocket::client::Pending pending;
    pocket::wire::Submission submission{};
    submission.opcode = pocket::wire::Opcode::kReleaseHandle;
    submission.block_offset = handle;
    if (auto sent = (*channel)->submit(submission, pending); !sent.ok())
      return failed(sent.error());
    constexpr uint64_t kReleaseNs = 10 * pocket::kNanosecondsPerSecond;
    if (!(*channel)->wait(pending, pocket::deadline_after(kReleaseNs))) {
      (*channel)->give_up(pending, POCKET_DEADLINE_EXCEEDED);
      return failed(Error{POCKET_DEADLINE_EXCEEDED, "the runner did not answer in time"});
    }
    if (pending.completion.status == POCKET_OK) return POCKET_OK;
    return failed(Error{static_cast<pocket_status>(pending.completion.status),
                        "this session keeps no tensor with handle " + std::to_string(handle)});
  });
}

}  // extern "C"

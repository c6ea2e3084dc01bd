// A handler for tests, which does what the method's name says; several broken ones by macro.
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "pocket/handler.h"

struct pocket_handler {
  std::atomic<int> clients{0};
  std::atomic<int> streams{0};
  std::string greeting;
  std::vector<std::vector<char>> leaked;
};
struct pocket_handler_client {
  std::atomic<uint64_t> calls{0};
};
struct pocket_handler_stream {
  uint64_t next = 0;
  uint64_t last = 0;
};

namespace {

enum Method : uint32_t {
  kEcho,      // the message and the tensors come back
  kCount,     // how many calls this client has made, how many clients and streams there are
  kFail,      // NOT_FOUND with the message as its text
  kThrow,     // throws
  kLoop,      // never ends, whatever anybody says
  kWait,      // until it is cancelled; then says so in its client's counter
  kCrash,     // aborts
  kLeak,      // as many MiB as the message's first byte says
  kRunModel,  // runs the model that the message names, tensor 0 in, tensor 0 out
  kBig,       // a message of 100,000 bytes, and counts
  kOdd,       // no status, and a tensor that cannot be
  kNumbers,   // streaming: 0 .. the message's first byte - 1, then fails if the second byte is 1
  kThrowOther,
  kGreeting,  // what load's options and folder were
};
constexpr pocket_handler_method kMethods[] = {
    {"Echo", 0, 0}, {"Count", 0, 0},   {"Fail", 0, 0},       {"Throw", 0, 0},    {"Loop", 0, 0},
    {"Wait", 0, 0}, {"Crash", 0, 0},   {"Leak", 0, 0},       {"RunModel", 0, 0}, {"Big", 0, 0},
    {"Odd", 0, 0},  {"Numbers", 1, 0}, {"ThrowOther", 0, 0}, {"Greeting", 0, 0}};

int32_t fail(pocket_handler_error* error, int32_t status, const std::string& text) {
  std::strncpy(error->message, text.c_str(), sizeof(error->message) - 1);
  error->message[sizeof(error->message) - 1] = '\0';
  return status;
}

int32_t answer(const pocket_handler_call* call, const void* data, size_t bytes) {
  void* room = call->reply(call->host, bytes);
  if (room == nullptr) return POCKET_RESOURCE_EXHAUSTED;
  if (bytes > 0) std::memcpy(room, data, bytes);
  return POCKET_OK;
}
int32_t answer(const pocket_handler_call* call, const std::string& text) {
  return answer(call, text.data(), text.size());
}

int32_t copy_tensor(const pocket_handler_call* call, uint32_t index,
                    const pocket_handler_tensor& tensor) {
  void* room =
      call->tensor(call->host, index, tensor.dtype, tensor.rank, tensor.shape, tensor.bytes);
  if (room == nullptr) return POCKET_RESOURCE_EXHAUSTED;
  std::memcpy(room, tensor.data, tensor.bytes);
  return POCKET_OK;
}

int32_t run_model(const pocket_handler_call* call, const std::string& name,
                  pocket_handler_error* error) {
  pocket_handler_tensor output{};
  const int32_t status = call->run_model(call->host, name.c_str(), call->tensors,
                                         call->tensor_count, &output, 1, error);
  return status == POCKET_OK ? copy_tensor(call, 0, output) : status;
}

void wait_for_cancel(pocket_handler_client* client, const pocket_handler_call* call) {
  while (call->cancelled(call->host) == 0) ::usleep(1000);
  client->calls += 1000;
}

int32_t call_method(pocket_handler* handler, pocket_handler_client* client, uint32_t method,
                    const pocket_handler_call* call, pocket_handler_error* error) {
  const std::string message(static_cast<const char*>(call->request), call->request_bytes);
  client->calls += 1;
  switch (method) {
    case kEcho:
      for (uint32_t index = 0; index < call->tensor_count; ++index) {
        if (call->tensors[index].dtype != POCKET_DTYPE_UNDEFINED) {
          copy_tensor(call, index, call->tensors[index]);
        }
      }
      return answer(call, message);
    case kCount:
      return answer(call, std::to_string(client->calls) + " " + std::to_string(handler->clients) +
                              " " + std::to_string(handler->streams));
    case kFail:
      return fail(error, POCKET_NOT_FOUND, message);
    case kThrow:
      throw std::runtime_error("a surprise");
    case kThrowOther:
      throw 7;
    case kLoop:
      for (std::atomic<bool> ever{true}; ever.load();) ::usleep(1000);
      return POCKET_OK;
    case kWait:
      wait_for_cancel(client, call);
      return fail(error, POCKET_CANCELLED, "cancelled");
    case kCrash:
      std::abort();
    case kLeak:
      handler->leaked.emplace_back(static_cast<size_t>(message.at(0)) << 20, 'x');
      return answer(call, message);
    case kRunModel:
      return run_model(call, message, error);
    case kBig:
      return answer(call, std::string(100'000, static_cast<char>('0' + client->calls)));
    case kOdd: {
      const int64_t shape[] = {-5};
      if (call->tensor(call->host, 0, POCKET_FLOAT32, 1, shape, 4) != nullptr ||
          call->tensor(call->host, 99, POCKET_FLOAT32, 0, shape, 4) != nullptr ||
          call->tensor(call->host, 0, POCKET_FLOAT32, 0, shape, 5) != nullptr) {
        return fail(error, POCKET_INTERNAL, "an impossible tensor was given room");
      }
      return fail(error, 999, "odd");
    }
    case kGreeting:
      return answer(call, handler->greeting);
    default:
      return fail(error, POCKET_UNIMPLEMENTED, "no such method");
  }
}

int32_t load(const pocket_handler_load_options* options, pocket_handler** handler,
             pocket_handler_error* error) {
#ifdef HANDLER_REFUSES
  (void)options, (void)handler;
  return fail(error, POCKET_FAILED_PRECONDITION, "its dictionary is missing");
#else
  (void)error;
  *handler = new pocket_handler;
  for (size_t index = 0; index < options->option_count; ++index) {
    (*handler)->greeting +=
        std::string(options->options[index].key) + "=" + options->options[index].value + ";";
  }
  return POCKET_OK;
#endif
}
void unload(pocket_handler* handler) { delete handler; }

int32_t client_came(pocket_handler* handler, pocket_handler_client** client,
                    pocket_handler_error*) {
  handler->clients += 1;
  *client = new pocket_handler_client;
  return POCKET_OK;
}
void client_gone(pocket_handler* handler, pocket_handler_client* client) {
  handler->clients -= 1;
  delete client;
}

int32_t open_stream(pocket_handler* handler, pocket_handler_client* client, uint32_t,
                    const pocket_handler_call* call, pocket_handler_stream** stream,
                    pocket_handler_error* error) {
  client->calls += 1;
  const auto* bytes = static_cast<const uint8_t*>(call->request);
  if (call->request_bytes < 2) return fail(error, POCKET_INVALID_ARGUMENT, "how many?");
  handler->streams += 1;
  *stream = new pocket_handler_stream{0, bytes[0] + (bytes[1] == 1 ? 1000ULL : 0ULL)};
  return POCKET_OK;
}
int32_t next(pocket_handler*, pocket_handler_stream* stream, const pocket_handler_call* call,
             int32_t* end, pocket_handler_error* error) {
  const bool fails = stream->last >= 1000;
  if (stream->next == stream->last % 1000) {
    if (fails) return fail(error, POCKET_DATA_LOSS, "the well is dry");
    *end = 1;
    return POCKET_OK;
  }
  return answer(call, std::to_string(stream->next++));
}
void close_stream(pocket_handler* handler, pocket_handler_stream* stream) {
  handler->streams -= 1;
  delete stream;
}

constexpr pocket_handler_api kApi = {
#ifdef HANDLER_OLD
    .abi_version = POCKET_HANDLER_ABI_VERSION + 1,
#else
    .abi_version = POCKET_HANDLER_ABI_VERSION,
#endif
    .struct_size = sizeof(pocket_handler_api),
    .name = "test.Handler",
    .digest = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
    .methods = kMethods,
    .method_count = sizeof(kMethods) / sizeof(kMethods[0]),
#ifdef HANDLER_GREEDY
    .tensors_in = 900,
#else
    .tensors_in = 3,
#endif
    .tensors_out = 3,
    .reserved = 0,
    .load = load,
    .unload = unload,
    .client_came = client_came,
    .client_gone = client_gone,
    .call = call_method,
    .open_stream = open_stream,
    .next = next,
    .close_stream = close_stream,
};

}  // namespace

#ifdef HANDLER_EMPTY
extern "C" POCKET_API const pocket_handler_api* some_other_name(uint32_t) { return &kApi; }
#else
extern "C" POCKET_API const pocket_handler_api* pocket_handler_entry(uint32_t) { return &kApi; }
#endif

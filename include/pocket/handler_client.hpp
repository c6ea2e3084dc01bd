/* The client's side of a handler: what protoc-gen-pocket's stubs are made of. Functions throw
 * StatusError, as all of pocket.hpp. The bytes: docs/format-handler.md.
 */
#ifndef POCKET_HANDLER_CLIENT_HPP_
#define POCKET_HANDLER_CLIENT_HPP_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "pocket/pocket.hpp"

namespace pocket {

/* A tensor that goes beside a request: written where the runner reads it, or kept there. */
class TensorArgument {
 public:
  /* A copy of these values, made when the call is. */
  template <typename T>
  static TensorArgument of(std::vector<int64_t> shape, std::span<const T> values) {
    return fill<T>(std::move(shape), [values](std::span<T> room) {
      if (room.size() != values.size()) {
        throw StatusError(POCKET_INVALID_ARGUMENT, "the values do not fill the shape");
      }
      std::copy(values.begin(), values.end(), room.begin());
    });
  }
  /* Values that `write` puts into shared memory: no copy. */
  template <typename T>
  static TensorArgument fill(std::vector<int64_t> shape, std::function<void(std::span<T>)> write) {
    return TensorArgument([shape = std::move(shape), write = std::move(write)](
                              Call& call, uint32_t index) { write(call.input<T>(index, shape)); });
  }
  /* A tensor that an earlier call kept in the same runner. */
  static TensorArgument kept(uint64_t tensor) {
    return TensorArgument([tensor](Call& call, uint32_t index) { call.input_kept(index, tensor); });
  }
  void set(Call& call, uint32_t index) const { set_(call, index); }

 private:
  explicit TensorArgument(std::function<void(Call&, uint32_t)> set) : set_(std::move(set)) {}
  std::function<void(Call&, uint32_t)> set_;
};

struct HandlerOptions {
  uint64_t deadline_ns = POCKET_FOREVER;    /* from now */
  std::vector<TensorArgument> tensors = {}; /* beside the message, in the order of its fields */
  std::vector<uint32_t> keep = {};          /* tensors of the answer that stay in the runner */
};

/* An answer: its message, and the tensors beside it, which live as long as the answer. */
template <typename Message>
class Answer {
 public:
  Answer(Message message, std::shared_ptr<Call> call)
      : message_(std::move(message)), call_(std::move(call)) {}
  const Message& message() const { return message_; }
  const Message& operator*() const { return message_; }
  const Message* operator->() const { return &message_; }
  Tensor tensor(uint32_t index) const { return call_->output(index + 1); }
  uint64_t kept(uint32_t index) const { return call_->kept_output(index + 1); }
  pocket_receipt receipt() const { return call_->receipt(); }

 private:
  Message message_;
  std::shared_ptr<Call> call_;
};

/* A handler of the service, of which generated stubs know the methods. Any thread. */
class HandlerClient {
 public:
  /* `digest`: 16 bytes. */
  HandlerClient(const Session& session, const std::string& entry, const uint8_t* digest,
                const OpenOptions& options = {})
      : model_(std::make_shared<Model>(session, entry, options)) {
    if (model_->engine() != "handler") {
      throw StatusError(POCKET_FAILED_PRECONDITION, "'" + entry + "' is run by engine '" +
                                                        model_->engine() + "', it is no handler");
    }
    std::memcpy(digest_, digest, sizeof(digest_));
  }

  template <typename Reply, typename Request>
  Answer<Reply> call(uint32_t method, const Request& request, const HandlerOptions& options) const {
    auto call = operate(kCall, method, 0, &request, options);
    return {parse<Reply>(*call), call};
  }
  template <typename Request>
  uint64_t open(uint32_t method, const Request& request, const HandlerOptions& options) const {
    const std::shared_ptr<Call> call = operate(kOpenStream, method, 0, &request, options);
    uint64_t stream = 0;
    std::memcpy(&stream, reply_of(*call).data(), sizeof(stream));
    return stream;
  }
  /* False: the answer is complete. */
  template <typename Reply>
  bool next(uint32_t method, uint64_t stream, Reply& reply, uint64_t deadline_ns) const {
    const std::shared_ptr<Call> call =
        operate<Reply>(kNext, method, stream, nullptr, {deadline_ns, {}, {}});
    uint32_t end = 0;
    std::memcpy(&end, reply_of(*call).data() + 8, sizeof(end));
    if (end != 0) return false;
    reply = parse<Reply>(*call);
    return true;
  }
  void close(uint32_t method, uint64_t stream) const noexcept {
    try {
      constexpr uint64_t kSecond = 1'000'000'000;
      operate<std::nullptr_t>(kCloseStream, method, stream, nullptr, {kSecond, {}, {}});
    } catch (const StatusError&) { /* then it is gone already */
    }
  }
  Model& model() const { return *model_; }

 private:
  static constexpr uint32_t kCall = 0, kOpenStream = 1, kNext = 2, kCloseStream = 3;
  static constexpr size_t kRequestHead = 48, kReplyHead = 16;

  template <typename Message>
  std::shared_ptr<Call> operate(uint32_t operation, uint32_t method, uint64_t stream,
                                const Message* message, const HandlerOptions& options) const {
    /* An answer keeps its call, and a call its model. */
    const std::shared_ptr<Call> call(new Call(*model_),
                                     [model = model_](Call* old) { delete old; });
    size_t bytes = 0;
    if constexpr (!std::is_same_v<Message, std::nullptr_t>) {
      bytes = message == nullptr ? 0 : message->ByteSizeLong();
    }
    if (bytes > INT32_MAX) throw StatusError(POCKET_RESOURCE_EXHAUSTED, "a message of over 2 GiB");
    const auto room = call->input<uint8_t>(0, {static_cast<int64_t>(kRequestHead + bytes)});
    static std::atomic<uint64_t> next_number{1};
    const uint64_t number = next_number.fetch_add(1);
    std::memset(room.data(), 0, kRequestHead);
    std::memcpy(room.data(), "PKH1", 4);
    std::memcpy(room.data() + 4, &method, 4);
    std::memcpy(room.data() + 8, digest_, sizeof(digest_));
    std::memcpy(room.data() + 24, &operation, 4);
    std::memcpy(room.data() + 32, &stream, 8);
    std::memcpy(room.data() + 40, &number, 8);
    if constexpr (!std::is_same_v<Message, std::nullptr_t>) {
      if (bytes > 0) message->SerializeToArray(room.data() + kRequestHead, static_cast<int>(bytes));
    }
    for (uint32_t index = 0; index < options.tensors.size(); ++index) {
      options.tensors[index].set(*call, index + 1);
    }
    for (const uint32_t index : options.keep) call->keep_output(index + 1);
    call->run(options.deadline_ns);
    return call;
  }

  /* The reply with its head. */
  static std::span<const uint8_t> reply_of(const Call& call) {
    const std::span<const uint8_t> bytes = call.output(0).values<uint8_t>();
    if (bytes.size() < kReplyHead) throw StatusError(POCKET_DATA_LOSS, "the reply has no head");
    return bytes;
  }

  template <typename Message>
  static Message parse(const Call& call) {
    const auto bytes = reply_of(call);
    Message message;
    if (!message.ParseFromArray(bytes.data() + kReplyHead,
                                static_cast<int>(bytes.size() - kReplyHead))) {
      throw StatusError(POCKET_DATA_LOSS,
                        "the answer is not a " + std::string(message.GetTypeName()));
    }
    return message;
  }

  std::shared_ptr<Model> model_;
  uint8_t digest_[16];
};

/* An answer in parts. One thread at a time; what is left unread is closed with it. */
template <typename Reply>
class PartReader {
 public:
  PartReader(HandlerClient client, uint32_t method, uint64_t stream)
      : client_(std::move(client)), method_(method), stream_(stream) {}
  PartReader(PartReader&& other) noexcept
      : client_(other.client_), method_(other.method_), stream_(std::exchange(other.stream_, 0)) {}
  PartReader& operator=(PartReader&&) = delete;
  ~PartReader() {
    if (stream_ != 0) client_.close(method_, stream_);
  }

  /* The next part, at most `deadline_ns` from now; false: there is none. After a failure the answer
   * is over. */
  bool read(Reply& reply, uint64_t deadline_ns = POCKET_FOREVER) {
    if (stream_ == 0) return false;
    const uint64_t stream = std::exchange(stream_, 0);
    try {
      if (!client_.next(method_, stream, reply, deadline_ns)) return false;
    } catch (...) {
      client_.close(method_, stream);
      throw;
    }
    stream_ = stream;
    return true;
  }

 private:
  HandlerClient client_;
  uint32_t method_;
  uint64_t stream_;
};

} /* namespace pocket */

#endif /* POCKET_HANDLER_CLIENT_HPP_ */

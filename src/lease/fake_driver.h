// For the tests of this room: limit files in memory, which can fail, vanish, be changed by others,
// and stop the program at any call.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lease/driver.h"

namespace pocket::lease {

enum class FakeCall { kOpen, kRead, kWrite, kSpare };

/// What goes wrong in a call. kAfter: it has its effect and reports a failure all the same.
struct FakeFault {
  enum When { kNever, kBefore, kAfter } when = kNever;
  pocket_status code = POCKET_INTERNAL;
};

struct FakeLimit {
  std::string name;
  Resource resource = Resource::kCpu;
  Limit limit;
  int64_t used = 0;         // memory that cannot be reclaimed: a limit below it is refused
  int64_t most_spare = -1;  // answers at most this; -1: no bound of its own
  bool exists = true;
};

class FakeDriver : public Driver {
 public:
  struct Calls {
    int opens = 0;
    int reads = 0;
    int writes = 0;
    int spares = 0;
  };

  FakeLimit& add(Resource resource, const std::string& name, Limit limit, int64_t used = 0) {
    auto& made = limits_[{resource, name}];
    if (made == nullptr) made = std::make_unique<FakeLimit>();
    *made = {name, resource, limit, used, -1, true};
    return *made;
  }

  Result<std::unique_ptr<LimitFile>> open(Resource resource, const std::string& name) override;

  Calls calls;
  std::vector<std::string> written;  // "name=amount" for each write that had its effect
  bool record_writes = false;
  std::function<void()> boundary;  // before and after each call and its effect; may throw
  std::function<FakeFault(FakeCall, FakeLimit&)> fault;
  std::function<void(FakeLimit&, int64_t before)> changed;  // by the book

  void at_boundary() const {
    if (boundary) boundary();
  }
  FakeFault fault_of(FakeCall call, FakeLimit& limit) const {
    return fault ? fault(call, limit) : FakeFault{};
  }

 private:
  std::map<std::pair<Resource, std::string>, std::unique_ptr<FakeLimit>> limits_;
};

class FakeFile : public LimitFile {
 public:
  FakeFile(FakeDriver& driver, FakeLimit& limit) : driver_(driver), limit_(limit) {}

  Result<Limit> read() override {
    driver_.at_boundary();
    ++driver_.calls.reads;
    const FakeFault fault = driver_.fault_of(FakeCall::kRead, limit_);
    if (!limit_.exists) return gone();
    if (fault.when != FakeFault::kNever) return Error{fault.code, "made to fail"};
    const Limit now = limit_.limit;
    driver_.at_boundary();
    return now;
  }

  Result<void> write(int64_t amount) override {
    driver_.at_boundary();
    ++driver_.calls.writes;
    const FakeFault fault = driver_.fault_of(FakeCall::kWrite, limit_);
    if (!limit_.exists) return gone();
    if (fault.when == FakeFault::kBefore) return Error{fault.code, "made to fail"};
    if (amount < limit_.used) return Error{POCKET_BUSY, "more is in use"};
    const int64_t before = limit_.limit.amount;
    limit_.limit.amount = amount;
    if (driver_.record_writes) {
      driver_.written.push_back(limit_.name + "=" + std::to_string(amount));
    }
    if (driver_.changed) driver_.changed(limit_, before);
    driver_.at_boundary();
    if (fault.when == FakeFault::kAfter) return Error{fault.code, "made to fail, afterwards"};
    return {};
  }

  Result<int64_t> spare(const Limit& now) override {
    driver_.at_boundary();
    ++driver_.calls.spares;
    const FakeFault fault = driver_.fault_of(FakeCall::kSpare, limit_);
    if (!limit_.exists) return gone();
    if (fault.when != FakeFault::kNever) return Error{fault.code, "made to fail"};
    const int64_t spare = now.amount - (limit_.resource == Resource::kCpu ? 1000 : limit_.used);
    return limit_.most_spare >= 0 ? std::min(spare, limit_.most_spare) : spare;
  }

 private:
  static Error gone() { return Error{POCKET_NOT_FOUND, "no such group"}; }
  FakeDriver& driver_;
  FakeLimit& limit_;
};

inline Result<std::unique_ptr<LimitFile>> FakeDriver::open(Resource resource,
                                                           const std::string& name) {
  at_boundary();
  ++calls.opens;
  const auto found = limits_.find({resource, name});
  if (found == limits_.end() || !found->second->exists) {
    return Error{POCKET_NOT_FOUND, "no such group"};
  }
  if (fault_of(FakeCall::kOpen, *found->second).when != FakeFault::kNever) {
    return Error{POCKET_INTERNAL, "made to fail"};
  }
  return std::unique_ptr<LimitFile>(new FakeFile(*this, *found->second));
}

}  // namespace pocket::lease

// How often something of one kind may be written.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace pocket::log {

/// So many a second, and as many at once, for each (whose, kind); what is more
/// is counted. Not thread-safe.
class Rate {
 public:
  using Key = std::pair<std::string, int>;  // whose, and of which kind

  /// 0: no bound.
  void set_limit(double per_second) { per_second_ = per_second; }
  /// Whether it may be written at this time; else `count` is added to what is
  /// left out.
  bool allow(const Key& key, uint64_t now_ns, uint64_t count = 1);
  struct LeftOut {
    Key key;
    uint64_t count = 0;
  };
  /// What was left out since the last time, and forgets who was quiet.
  std::vector<LeftOut> take_left_out(uint64_t now_ns);
  bool any_left_out() const { return any_; }
  size_t keys() const { return entries_.size(); }

 private:
  struct Entry {
    double left = 0;
    uint64_t filled_ns = 0;
    uint64_t left_out = 0;
  };
  double most() const { return per_second_ < 1 ? 1 : per_second_; }
  void fill(Entry& entry, uint64_t now_ns) const;

  double per_second_ = 0;
  bool any_ = false;
  std::map<Key, Entry> entries_;
};

}  // namespace pocket::log

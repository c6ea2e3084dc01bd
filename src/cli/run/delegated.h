// Where an ordinary user may make groups: in the part of the v2 tree that was delegated to him.
#pragma once

#include <functional>
#include <string>

namespace pocket::cli {

/// The nearest group above `own` (a path at or below `top`, both absolute) in which groups can be
/// made and processes moved there from `own`, relative to `top`: "user.slice/x". Not `own` itself,
/// which has processes and so, on v2, no groups with limits below it. Empty: there is none, or it
/// is `top`.
/// `writable` tells whether this user may write to a path.
std::string delegated_parent(const std::string& top, const std::string& own,
                             const std::function<bool(const std::string&)>& writable);

}  // namespace pocket::cli

// The terminal while `pocket top` is on it.
#pragma once

#include <termios.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace pocket::cli {

/// Takes the terminal's other screen and gives the first one back, as it was, when it is destroyed.
/// A few escape sequences that every terminal since the VT100 knows are all that is needed: no
/// library of widgets. One thread.
class Screen {
 public:
  /// Whether standard input and output are a terminal that can do this.
  static bool usable();

  Screen();
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  /// For a stop (Ctrl-Z): the terminal as it was, until enter().
  void leave();
  void enter();
  /// Shows the lines from the top, cut to what the terminal has now; the last row is `status`.
  void draw(const std::vector<std::string>& lines, const std::string& status);
  /// The next key that was pressed: 0 for none, -1 when there is no keyboard any more.
  int key();

 private:
  termios before_{};
  bool inside_ = false;
};

}  // namespace pocket::cli

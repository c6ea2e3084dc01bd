#include "cli/top/screen.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "cli/top/text.h"

namespace pocket::cli {
namespace {

constexpr const char* kOtherScreen = "\033[?1049h\033[?25l";  // and no cursor
constexpr const char* kFirstScreen = "\033[?25h\033[?1049l";
constexpr const char* kHome = "\033[H";
constexpr const char* kRestOfLine = "\033[K";
constexpr const char* kRestOfScreen = "\033[J";
constexpr const char* kReversed = "\033[7m";
constexpr const char* kPlain = "\033[0m";

void write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, text.data(), text.size());
    if (count <= 0) return;  // the terminal is gone: the loop ends by itself
    text.remove_prefix(static_cast<size_t>(count));
  }
}

}  // namespace

bool Screen::usable() {
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1 && terminal != nullptr &&
         std::string_view(terminal) != "dumb";
}

Screen::Screen() { enter(); }

Screen::~Screen() { leave(); }

void Screen::enter() {
  if (inside_) return;
  ::tcgetattr(STDIN_FILENO, &before_);
  termios keys = before_;
  keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  keys.c_cc[VMIN] = 0;
  keys.c_cc[VTIME] = 0;
  ::tcsetattr(STDIN_FILENO, TCSANOW, &keys);
  write_all(kOtherScreen);
  inside_ = true;
}

void Screen::leave() {
  if (!inside_) return;
  write_all(kFirstScreen);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  inside_ = false;
}

void Screen::draw(const std::vector<std::string>& lines, const std::string& status) {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) size = {24, 80, 0, 0};
  std::string text = kHome;
  const size_t room = size.ws_row - 1U;
  for (size_t index = 0; index < std::min(room, lines.size()); ++index) {
    text += clip(lines[index], size.ws_col) + kRestOfLine + "\r\n";
  }
  text += kRestOfScreen;
  text += "\033[" + std::to_string(size.ws_row) + ";1H" + kReversed + clip(status, size.ws_col) +
          kPlain + kRestOfLine;
  write_all(text);
}

int Screen::key() {
  char pressed = 0;
  const ssize_t count = ::read(STDIN_FILENO, &pressed, 1);
  if (count == 1) return static_cast<unsigned char>(pressed);
  return count == 0 ? 0 : -1;
}

}  // namespace pocket::cli

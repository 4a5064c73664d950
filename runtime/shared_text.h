#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace nsrun {

// A text that many hold and none changes. Each of them costs two words; the characters are there once.
class SharedText {
 public:
  SharedText() = default;
  SharedText(std::string text) {
    if (!text.empty()) text_ = std::make_shared<const std::string>(std::move(text));
  }
  SharedText(std::string_view text) : SharedText(std::string(text)) {}
  SharedText(const char* text) : SharedText(std::string(text)) {}

  const std::string& str() const {
    static const std::string nothing;
    return text_ ? *text_ : nothing;
  }
  operator const std::string&() const { return str(); }
  bool empty() const { return text_ == nullptr; }
  friend bool operator==(const SharedText& text, std::string_view other) { return text.str() == other; }

 private:
  std::shared_ptr<const std::string> text_;  // null: empty
};

}  // namespace nsrun

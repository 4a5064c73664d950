#include "host/http/message_parser.h"

#include <algorithm>

namespace nsrun {
namespace {

namespace http = boost::beast::http;

// Whether a head, or its beginning, is lines of text that end with CR LF from `from` on: what is not need not
// be waited for.
bool is_text(std::string_view head, std::size_t from = 0) {
  for (std::size_t at = from; at < head.size(); ++at) {
    const auto c = static_cast<unsigned char>(head[at]);
    const bool ends_line = c == '\n' && at > 0 && head[at - 1] == '\r';
    if (c == 0x7f || (c < ' ' && c != '\t' && c != '\r' && !ends_line)) return false;
  }
  return true;
}

bool is_folded(std::string_view lines) {
  return lines.find("\n ") != lines.npos || lines.find("\n\t") != lines.npos;
}

}  // namespace

template <bool is_request>
MessageParser<is_request>::MessageParser() {
  this->header_limit(max_head);
  this->body_limit(boost::none);
}

template <bool is_request>
Error MessageParser<is_request>::failed(std::string why) {
  return error_.emplace(Error{std::move(why), errno_code(EPROTO)});
}

template <bool is_request>
Result<MessagePart> MessageParser<is_request>::take(std::string_view bytes) {
  if (error_) return *error_;
  if (this->is_done()) return failed("it goes on after its end");
  auto part = this->is_header_done() ? take_body(bytes) : take_head(bytes);
  if (part && part->size == 0 && bytes.size() > max_head) return failed("a line of it is too long");
  return part;
}

// Beast takes a head line by line, and of a head that is not whole nothing may be used: so it is given whole
// heads only. A head that comes in many pieces is looked through once.
template <bool is_request>
Result<MessagePart> MessageParser<is_request>::take_head(std::string_view bytes) {
  constexpr std::string_view end = "\r\n\r\n";
  const auto from = std::min(seen_, bytes.size());
  const auto end_of_head = bytes.find(end, from - std::min(from, end.size() - 1));
  if (!is_text(bytes.substr(0, end_of_head), from)) return failed("it is not HTTP");
  seen_ = bytes.size();
  if (end_of_head == bytes.npos) return MessagePart{0, true};
  Code why;
  const auto size = feed_.put(*this, bytes, why);
  if (why) return failed("it cannot be read: " + why.message());
  return MessagePart{size, true};
}

template <bool is_request>
Result<MessagePart> MessageParser<is_request>::take_body(std::string_view bytes) {
  Code why;
  const auto size = feed_.put(*this, bytes, why);
  if (why && why != http::error::need_more) return failed("it cannot be read: " + why.message());
  // Boost before 1.87 takes the last chunk and its trailer as one part; later versions take each field as it
  // comes, once the character after its line shows that it is not folded.
  if (in_trailer_ && is_folded(bytes.substr(0, size))) return failed("a field of its trailer is folded");
  return MessagePart{size, false};
}

// In quotes Beast takes any character; and some servers, a bare LF for the end of the line.
template <bool is_request>
void MessageParser<is_request>::on_chunk_header_impl(std::uint64_t size, string_view extensions, Code& why) {
  if (!is_text({extensions.data(), extensions.size()})) why = http::error::bad_chunk_extension;
  in_trailer_ = size == 0;
}

template class MessageParser<true>;
template class MessageParser<false>;

}  // namespace nsrun

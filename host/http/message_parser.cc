#include "host/http/message_parser.h"

namespace nsrun {
namespace {

namespace http = boost::beast::http;

Error not_read(std::string why) { return {std::move(why), errno_code(EPROTO)}; }

// Whether a head, or its beginning, is lines of text that end with CR LF: what is not need not be waited for.
bool is_text(std::string_view head) {
  for (std::size_t at = 0; at < head.size(); ++at) {
    const auto c = static_cast<unsigned char>(head[at]);
    const bool ends_line = c == '\n' && at > 0 && head[at - 1] == '\r';
    if (c == 0x7f || (c < ' ' && c != '\t' && c != '\r' && !ends_line)) return false;
  }
  return true;
}

}  // namespace

template <bool is_request>
MessageParser<is_request>::MessageParser() {
  this->header_limit(longest_head);
  this->body_limit(boost::none);
}

// Beast takes a head line by line, and of a head that is not whole nothing may be used: so it is given whole
// heads only.
template <bool is_request>
Result<MessagePart> MessageParser<is_request>::take(std::string_view bytes) {
  const bool is_head = !this->is_header_done();
  const auto end_of_head = is_head ? bytes.find("\r\n\r\n") : 0;
  if (is_head && !is_text(bytes.substr(0, end_of_head))) return not_read("it is not HTTP");
  std::size_t size = 0;
  if (end_of_head != bytes.npos) {
    Code why;
    size = this->put({bytes.data(), bytes.size()}, why);
    if (why && (is_head || why != http::error::need_more))
      return not_read("it cannot be read: " + why.message());
  }
  if (size == 0 && bytes.size() > longest_head) return not_read("a line of it is too long");
  return MessagePart{size, is_head};
}

// In quotes Beast takes any character; and some servers, a bare LF for the end of the line.
template <bool is_request>
void MessageParser<is_request>::on_chunk_header_impl(std::uint64_t, string_view extensions, Code& why) {
  if (!is_text({extensions.data(), extensions.size()})) why = http::error::bad_chunk_extension;
}

template class MessageParser<true>;
template class MessageParser<false>;

}  // namespace nsrun

#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/system/error_code.hpp>
#include <boost/version.hpp>
#include <string_view>

namespace nsrun {

// Gives a message to one of Beast's parsers as it comes. Before Boost 1.86 the parser fails an assertion when
// it found a last chunk cut off and is given that again with fewer than five bytes (parse_chunk_header in
// impl/basic_parser.ipp, boostorg/beast #2861): an end of the process that a peer could cause, and that
// Beast's own http::async_read leads to. No chunk, and no head, is that short, so such a parser waits for
// five bytes. Later parsers must not wait: they take the first line of the last chunk, and two bytes may then
// end the message.
class BeastFeed {
 public:
  // As parser.put(): `bytes` begin where the last call ended. How many were taken; need_more: it takes more
  // to go on.
  template <class Parser>
  std::size_t put(Parser& parser, std::string_view bytes, boost::system::error_code& why) {
    constexpr std::size_t min_size = BOOST_VERSION < 108600 ? 5 : 0;  // "0\r\n\r\n"
    if (is_cut_off_ && bytes.size() < min_size) {
      why = boost::beast::http::error::need_more;
      return 0;
    }
    const auto taken = parser.put(boost::asio::const_buffer(bytes.data(), bytes.size()), why);
    is_cut_off_ = why == boost::beast::http::error::need_more;
    return taken;
  }

 private:
  bool is_cut_off_ = false;
};

}  // namespace nsrun

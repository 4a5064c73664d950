#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/optional.hpp>
#include <cstdint>
#include <string>

namespace nsrun {

// A body for Beast's parsers, in a string that grows with the bytes that arrive. Beast's string_body reserves
// the Content-Length, which is only what the peer claims: 99999999999 would be more memory than there is.
struct GrowingBody {
  using value_type = std::string;

  class reader {
   public:
    using Code = boost::system::error_code;

    template <bool is_request, class Fields>
    reader(boost::beast::http::header<is_request, Fields>&, value_type& body) : body_(body) {}
    void init(const boost::optional<std::uint64_t>&, Code& why) { why = {}; }
    template <class Buffers>
    std::size_t put(const Buffers& buffers, Code& why) {
      const auto before = body_.size();
      for (const boost::asio::const_buffer piece : boost::beast::buffers_range_ref(buffers))
        body_.append(static_cast<const char*>(piece.data()), piece.size());
      why = {};
      return body_.size() - before;
    }
    void finish(Code& why) { why = {}; }

   private:
    value_type& body_;
  };
};

}  // namespace nsrun

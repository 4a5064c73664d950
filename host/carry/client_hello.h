#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "runtime/bytes.h"
#include "runtime/result.h"

// The beginning of a TLS connection (RFC 8446), as far as it says for whom it is. Pure: bytes in, value or
// error out.

namespace nsrun {

constexpr std::size_t max_hello = 16'384;  // bytes, record headers included; a longer one is refused

struct ClientHello {
  std::string server_name;  // as it was sent (RFC 6066 3); empty: there is none
  bool encrypted = false;   // it has an encrypted hello inside (ECH, or its forerunner ESNI), or seems to
};

// Whether some server would take a stream that begins so for TLS; nothing: a few bytes more would tell.
std::optional<bool> starts_tls(Bytes beginning);

// How many of these bytes are a whole ClientHello, in however many records; 0: it is not all here. An error
// for what is none, or does not end where its last record ends.
Result<std::size_t> hello_size(Bytes records);

// A whole ClientHello, as hello_size() found it.
Result<ClientHello> parse_client_hello(Bytes records);

// Whether a server's first bytes ask for the ClientHello once more (HelloRetryRequest, RFC 8446 4.1.4);
// nothing: more bytes would tell.
std::optional<bool> asks_for_hello_again(Bytes beginning);

// How many bytes, of those that follow a hello that was asked for again, come before the second one: records
// that a server passes over (RFC 8446 5, D.4; 4.2.10). Whole records only.
std::size_t bytes_before_second_hello(Bytes records);

}  // namespace nsrun

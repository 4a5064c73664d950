#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/flow.h"

namespace nsrun::testing {

constexpr std::size_t max_recorded = 64 * 1024 * 1024;  // bytes exchanged in one recording

// One HTTP request and what answered it, as they went over the wire.
struct Exchange {
  std::string request, response;
  bool closes = false;  // the server closed after it
};

// Bytes that went one way, until some went the other; a datagram of a datagram flow.
struct Piece {
  bool up = false;  // from the program
  std::string bytes = {};
};

// One recorded flow. HTTP/1 has exchanges, anything else pieces.
struct RecordedFlow {
  Protocol protocol = Protocol::tcp;
  std::string host;  // name or address, as the program used it
  std::uint16_t port = 0;
  bool tls = false;
  bool refused = false;
  std::vector<Exchange> exchanges = {};
  std::vector<Piece> pieces = {};
};

using Recording = std::vector<RecordedFlow>;

// As JSON that a person can read, and change: HTTP heads and all that is plain text as text, the rest in
// base64.
std::string to_json(const Recording& recording);
// An error says what is wrong with the text.
Result<Recording> recording_from_json(std::string_view text);

}  // namespace nsrun::testing

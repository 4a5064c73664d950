#pragma once

#include "host/tunnel/frame.h"
#include "runtime/bytes.h"
#include "runtime/result.h"

namespace nsrun::tunnel {

// One message of the JSON wire: an object with the fields type, port, stream_id, data, error, local_addr, in
// this order; what is zero or empty is left out, data is padded base64 (RFC 4648 4).

// Appends the message of a frame that is not data.
void write_json(const Frame& frame, std::string& to);
// Appends {"type":"data",…}.
void write_json_data(std::uint32_t stream, Bytes bytes, std::string& to);
// Unknown types are Type::none; unknown fields are passed over, and so are those whose value is null.
Result<Frame> parse_json(std::string_view text);

}  // namespace nsrun::tunnel

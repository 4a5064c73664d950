#pragma once

#include <string>
#include <string_view>

#include "runtime/result.h"

namespace nsrun {

// The one form in which a host name is compared, remembered and judged: lower case, without the trailing dot,
// international labels as their ASCII form (xn--..., RFC 5891 A-labels; they are not decoded). An error for
// what is no host name: empty labels, NUL, spaces, control characters, non-ASCII bytes, backslashes (escapes
// of a name that has no plain form), labels over 63 and names over 253 characters (RFC 1035 2.3.4).
Result<std::string> canonical_name(std::string_view text);

// Whether a canonical name reads as an address: what inet_aton(3) takes for one (127.1, 0x7f.1, 2130706433)
// is no name in anybody's DNS, since top level domains are not numeric (RFC 3696 2).
bool reads_as_address(std::string_view name);

// Whether a canonical name is localhost or below it: this machine, whatever a name server says (RFC 6761 6.3).
bool is_localhost(std::string_view name);

// Whether a canonical name can be a host's: letters, digits, hyphens and underscores, and no address. Whoever
// is told another one by name, a proxy, may find an address in it, a port, or another host.
bool is_host_name(std::string_view name);

}  // namespace nsrun

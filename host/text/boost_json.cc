// Boost.JSON's sources, compiled here once: the header-only form, so that nothing more need be linked.
#include <boost/json/src.hpp>

package models

// Channel is the door that an event came through.
type Channel string

// The channels, as stored and as shown by the API.
const (
	ChannelTCP  Channel = "tcp_socket"
	ChannelHTTP Channel = "http_api"
)

// Channels lists all channels.
func Channels() []Channel { return []Channel{ChannelTCP, ChannelHTTP} }

// Valid reports whether c is a known channel.
func (c Channel) Valid() bool { return c == ChannelTCP || c == ChannelHTTP }

// Index is the place of a valid channel in Channels, -1 for anything else.
func (c Channel) Index() int {
	switch c {
	case ChannelTCP:
		return 0
	case ChannelHTTP:
		return 1
	}
	return -1
}

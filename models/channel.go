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

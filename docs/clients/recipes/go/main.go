// Go with github.com/coder/websocket. `go run . http://127.0.0.1:8080 alice`
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

const (
	transactions  = `subscription { transactions { id changedBy newBalance } }`
	openAccount   = `mutation { openAccount { iban token } }`
	transferMoney = `mutation($commandId: ID, $token: String!, $to: String!) {
		transferMoney(commandId: $commandId, token: $token, amount: 1, from: "cash", to: $to, descr: "go") { commandId success reason }
	}`
	// The gateway pings at least every 10 s: whoever says nothing for this long is gone.
	silence = 25 * time.Second
)

type object = map[string]any

// message is one of the sub-protocol graphql-transport-ws.
type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

type graphqlError struct {
	Message    string
	Extensions struct{ Code, Earliest string }
}

type result struct {
	Data       json.RawMessage
	Errors     []graphqlError
	Extensions struct{ Cursor string }
}

// final is an error that another attempt would end with, too.
type final struct{ error }

type client struct{ url, user string }

// post sends JSON, and reads the answer into `into`.
func (c client) post(ctx context.Context, path, token string, body, into any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return final{err}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+path, bytes.NewReader(encoded))
	if err != nil {
		return final{err}
	}
	request.Header.Set("content-type", "application/json")
	if token != "" {
		request.Header.Set("authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	switch status := response.StatusCode; {
	case status == http.StatusMisdirectedRequest || status == http.StatusTooManyRequests || status >= 500:
		return fmt.Errorf("%s: %s", path, response.Status)
	case status != http.StatusOK:
		return final{fmt.Errorf("%s: %s %s", path, response.Status, text)}
	}
	return json.Unmarshal(text, into)
}

func (c client) logIn(ctx context.Context) (string, error) {
	var answer struct{ AccessToken string }
	err := c.post(ctx, "/login", "", object{"username": c.user, "password": c.user + "-password"}, &answer)
	return answer.AccessToken, err
}

// connect asks the router where the user belongs now, and returns a connection that has been acknowledged.
func (c client) connect(ctx context.Context) (*websocket.Conn, error) {
	token, err := c.logIn(ctx)
	if err != nil {
		return nil, err
	}
	var route struct{ URL string }
	if err := c.post(ctx, "/route", token, object{}, &route); err != nil {
		return nil, err
	}
	socket, _, err := websocket.Dial(ctx, route.URL, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		return nil, err
	}
	socket.SetReadLimit(8 << 20)
	var ack message
	if err = wsjson.Write(ctx, socket, object{"type": "connection_init", "payload": object{"accessToken": token}}); err == nil {
		err = wsjson.Read(ctx, socket, &ack)
	}
	if err != nil {
		socket.CloseNow()
		return nil, err
	}
	return socket, nil
}

// subscribe hands on the events behind `extensions` until the connection ends. It moves `extensions` on with each.
func (c client) subscribe(ctx context.Context, query string, extensions object, handle func(json.RawMessage)) error {
	connecting, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	socket, err := c.connect(connecting)
	if err != nil {
		return err
	}
	defer socket.CloseNow()
	const id = "1"
	start := object{"id": id, "type": "subscribe", "payload": object{"query": query, "extensions": extensions}}
	if err := wsjson.Write(ctx, socket, start); err != nil {
		return err
	}
	goOnBehind := func(cursor string) {
		if cursor != "" {
			extensions["cursor"] = cursor
		}
	}
	for {
		var received message
		reading, cancel := context.WithTimeout(ctx, silence)
		err := wsjson.Read(reading, socket, &received)
		cancel()
		if err != nil {
			return err
		}
		switch received.Type {
		case "ping":
			var payload struct{ Cursors map[string]string }
			if err := json.Unmarshal(received.Payload, &payload); len(received.Payload) > 0 && err != nil {
				return final{err}
			}
			goOnBehind(payload.Cursors[id])
			if err := wsjson.Write(ctx, socket, message{Type: "pong"}); err != nil {
				return err
			}
		case "next":
			var event result
			if err := json.Unmarshal(received.Payload, &event); err != nil {
				return final{err}
			}
			handle(event.Data)
			goOnBehind(event.Extensions.Cursor)
		case "error":
			return final{fmt.Errorf("%s", received.Payload)}
		case "complete":
			return final{io.EOF}
		}
	}
}

// execute sends a mutation over HTTP. With a commandId among its variables it happens once, however often it is sent.
func (c client) execute(ctx context.Context, query string, variables object) (data json.RawMessage, err error) {
	err = c.untilDone(ctx, func() error {
		token, err := c.logIn(ctx)
		if err != nil {
			return err
		}
		var answer result
		if err := c.post(ctx, "/graphql", token, object{"query": query, "variables": variables}, &answer); err != nil {
			return err
		}
		data = answer.Data
		for _, problem := range answer.Errors {
			switch problem.Extensions.Code {
			case "UNAVAILABLE", "NOT_OWNER", "COMMAND_PENDING", "LIMIT_EXCEEDED":
				return fmt.Errorf("%s", problem.Message)
			}
			return final{fmt.Errorf("%s", problem.Message)}
		}
		return nil
	})
	return data, err
}

// untilDone makes attempts, with growing delays between them, until one ends without an error, or with a final one.
func (c client) untilDone(ctx context.Context, attempt func() error) error {
	delay := 50 * time.Millisecond
	for ctx.Err() == nil {
		began := time.Now()
		err := attempt()
		if err == nil {
			return nil
		}
		if problem, isFinal := err.(final); isFinal {
			return problem.error
		}
		if time.Since(began) > silence {
			delay = 50 * time.Millisecond // it had been connected
		}
		fmt.Fprintln(os.Stderr, "once more:", err)
		half := big.NewInt(int64(delay))
		jitter, _ := rand.Int(rand.Reader, half)
		time.Sleep(delay/2 + time.Duration(jitter.Int64()))
		delay = min(2*delay, 5*time.Second)
	}
	return ctx.Err()
}

func main() {
	url, user := "http://127.0.0.1:8080", "alice"
	if len(os.Args) == 3 {
		url, user = os.Args[1], os.Args[2]
	}
	ctx := context.Background()
	c := client{url, user}
	opened, err := c.execute(ctx, openAccount, nil)
	exitOn(err)
	var account struct{ OpenAccount struct{ Iban, Token string } }
	exitOn(json.Unmarshal(opened, &account))

	go func() {
		// The same command twice, as after an answer that was lost: one payment, and the same verdict.
		command := object{"commandId": uuid(), "token": account.OpenAccount.Token, "to": account.OpenAccount.Iban}
		for range 2 {
			verdict, err := c.execute(ctx, transferMoney, command)
			exitOn(err)
			fmt.Println(string(verdict))
		}
	}()

	// Without a cursor it begins here.
	position := object{"from": "earliest"}
	exitOn(c.untilDone(ctx, func() error {
		return c.subscribe(ctx, transactions, position, func(event json.RawMessage) { fmt.Println(string(event)) })
	}))
}

// uuid returns a random UUID (version 4).
func uuid() string {
	var bits [16]byte
	_, err := rand.Read(bits[:])
	exitOn(err)
	bits[6], bits[8] = bits[6]&0x0f|0x40, bits[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", bits[:4], bits[4:6], bits[6:8], bits[8:10], bits[10:])
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

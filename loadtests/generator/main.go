// Closed loops of gRPC clients that send ready-made requests and time the answers: the cheapest generator there is, since it
// shares the machine with the server that it measures. Requests and answers are frames: uint32 length, bytes.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	callTimeout        = 10 * time.Second
	clientsAConnection = 8
)

// raw passes bytes through: encoding is what stubs cost, and is not the server's.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append((*v.(*[]byte))[:0], data...)
	return nil
}
func (raw) Name() string { return "proto" }

func main() {
	address := flag.String("address", "", "host:port of the servers, by commas: clients take turns between them")
	method := flag.String("method", "", "/package.Service/Method")
	requestsPath := flag.String("requests", "", "file of request frames")
	answersPath := flag.String("answers", "", "send each request once, in order, and keep the answers here")
	clients := flag.Int("clients", 1, "")
	seconds := flag.Float64("seconds", 1, "")
	flag.Parse()

	requests := read(*requestsPath)
	addresses := strings.Split(*address, ",")
	needed := (*clients + clientsAConnection - 1) / clientsAConnection
	connections := make([]*grpc.ClientConn, max(needed, min(*clients, len(addresses))))
	for i := range connections {
		connection, err := grpc.NewClient(addresses[i%len(addresses)],
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}), grpc.WaitForReady(true), grpc.MaxCallRecvMsgSize(64<<20)))
		must(err)
		connections[i] = connection
	}
	ask := func(client, number int, answer *[]byte) {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		must(connections[client%len(connections)].Invoke(ctx, *method, &requests[number%len(requests)], answer))
	}
	if *answersPath != "" {
		keep(*answersPath, requests, ask)
		return
	}
	latencies := make([][]int64, *clients)
	var ready, done sync.WaitGroup
	begin := make(chan time.Time)
	for client := range *clients {
		ready.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			var answer []byte
			number := client * 37
			ask(client, number, &answer)
			ready.Done()
			until := (<-begin).Add(time.Duration(*seconds * float64(time.Second)))
			for start := time.Now(); start.Before(until); {
				number++
				ask(client, number, &answer)
				now := time.Now()
				latencies[client] = append(latencies[client], now.Sub(start).Microseconds())
				start = now
			}
		}()
	}
	ready.Wait()
	start := time.Now()
	for range *clients {
		begin <- start
	}
	done.Wait()
	took := time.Since(start).Seconds()
	every := []int64{}
	for _, own := range latencies {
		every = append(every, own...)
	}
	must(json.NewEncoder(os.Stdout).Encode(map[string]any{"seconds": took, "latencies_us": every}))
}

func keep(path string, requests [][]byte, ask func(client, number int, answer *[]byte)) {
	file, err := os.Create(path)
	must(err)
	for number := range requests {
		var answer []byte
		ask(0, number, &answer)
		must(binary.Write(file, binary.LittleEndian, uint32(len(answer))))
		_, err = file.Write(answer)
		must(err)
	}
	must(file.Close())
}

func read(path string) [][]byte {
	file, err := os.Open(path)
	must(err)
	defer file.Close()
	var frames [][]byte
	for {
		var length uint32
		if err := binary.Read(file, binary.LittleEndian, &length); err == io.EOF {
			return frames
		} else {
			must(err)
		}
		frame := make([]byte, length)
		_, err := io.ReadFull(file, frame)
		must(err)
		frames = append(frames, frame)
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(fmt.Errorf("generator: %w", err))
	}
}

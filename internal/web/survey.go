package web

import "context"

// importSurvey says what a file would bring, and writes nothing. It reads it as an
// import of the same input would.
func importSurvey(ctx context.Context, c *Call) (any, error) {
	var in ImportRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	o, err := in.options()
	if err != nil {
		return nil, err
	}
	return c.Gate.Survey(ctx, c.Body, o)
}

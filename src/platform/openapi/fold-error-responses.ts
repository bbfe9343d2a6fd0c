interface SwaggerUi {
  React: {
    createElement(type: unknown, props: object | null, ...children: unknown[]): unknown;
    useState(initial: boolean): [boolean, (value: boolean) => void];
  };
}

interface Responses {
  size: number;
  filter(predicate: (response: unknown, status: string) => boolean): Responses;
}

/**
 * A Swagger UI plugin that shows the error responses of an operation behind a button. It is sent to the browser as source
 * text, so it must not use anything outside its body.
 * See https://swagger.io/docs/open-source-tools/swagger-ui/customization/plug-points/
 */
export const foldErrorResponses = () => ({
  wrapComponents: {
    responses:
      (Original: unknown, { React }: SwaggerUi) =>
      (props: { responses: Responses }) => {
        const [isOpen, setOpen] = React.useState(false);
        const successes = props.responses.filter((_, status) => !/^[45]/.test(status));
        const errors = props.responses.size - successes.size;
        const label = isOpen ? 'Hide error responses' : `Show ${errors} error responses`;
        return React.createElement(
          'div',
          null,
          React.createElement(Original, { ...props, responses: isOpen ? props.responses : successes }),
          React.createElement('button', { className: 'btn', onClick: () => setOpen(!isOpen) }, label),
        );
      },
  },
});
